//! Renders Handlebars templates within limits. Without limits, a template could exhaust the memory
//! or the stack, or occupy a thread for ever.
//!
//! [`check`] reads a template before the parser does: the parser recurses for each block and each
//! parenthesis, and for each tag scans everything before it. [`Compiled::new`] refuses inline
//! partials that include themselves, and inserts calls of helpers into the template. While the
//! template is rendered, these helpers charge the [`FillBudget`]: [`STEP`] before the content of
//! each block, for time and steps, and [`HOLD`] before each tag that copies data. (A partial holds a
//! copy of its data while it runs, and partials can be nested.) [`apart`] compiles and renders on a
//! thread that is abandoned after a timeout, in case a template gets past the limits.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use handlebars::template::{HelperTemplate, Parameter, TemplateElement, TemplateMapping};
use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason,
    Renderable, Template, no_escape,
};
use serde_json::Value;

use crate::weight::Weight;

/// Maximum nesting of blocks. Partials and each `else if` count as blocks.
const DEPTH: usize = 100;

/// Maximum number of subexpressions in a tag.
const PARENTHESES: usize = 10;

/// Maximum length of a tag in bytes.
const TAG: usize = 4 * 1024;

/// Maximum number of tags multiplied by the size in bytes: for each tag, the parser counts the lines
/// before it. Because of this limit, an abandoned thread ends after about 1 s (in a debug build, 10 s).
const WORK: usize = 1_000_000_000;

/// Maximum number of backslashes in a row. The parser reads the row again from each of them.
const BACKSLASHES: usize = 100;

/// Maximum number of texts, expressions and blocks that are rendered for a request, counting each
/// repetition.
const ELEMENTS: usize = 1_000_000;

/// Maximum size of the data that tags copy and hold until they end, in MiB.
const HELD: usize = 64;

/// Maximum number of copies of a value while its tag is rendered: as the parameter of a partial or a
/// block, as a variable of the block, and in the partial's data.
const COPIES: usize = 3;

/// Approximate size of an object's member in bytes. A partial with parameters turns each item of a list
/// and each character of a text into a member.
const MEMBER: usize = 256;

/// Maximum size of a rendered template in MiB.
const OUTPUT: usize = 8;

/// Maximum total size of a request's rendered templates in MiB.
const OUTPUT_IN_ALL: usize = 64;

const MIB: usize = 1024 * 1024;

/// Time limit of compiling, and of rendering, for a request. Longer in tests, which may run on a busy
/// machine.
const TIME: Duration = Duration::from_secs(if cfg!(test) { 15 } else { 5 });

/// How long after [`TIME`] a thread may take to notice the time limit.
const GRACE: Duration = Duration::from_secs(1);

/// Maximum number of threads, including abandoned ones.
const THREADS: usize = 8;

/// Maximum length of an error in characters. The parser's errors quote the template's line.
const LONGEST_ERROR: usize = 500;

/// Stack size of a thread in bytes. Enough for [`DEPTH`] in a debug build.
const STACK: usize = 16 * MIB;

// Helper names that no template can contain.
const STEP: &str = "\u{0}step";
const HOLD: &str = "\u{0}hold";
const RELEASE: &str = "\u{0}release";

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Compiled {
    template: Template,
    weight: usize,
}

/// Upper estimates of the memory of a compiled tag and of each value in it, in bytes.
const TAG_WEIGHT: usize = 2 * 1024;
const VALUE_WEIGHT: usize = 1024;

/// Estimates the memory of a compiled template from its text, in bytes.
pub(crate) fn weight_of(text: &str) -> usize {
    let tags = text.split("{{").skip(1);
    let weight = tags.map(|tag| {
        let tag = tag.split("}}").next().unwrap_or_default();
        let values = tag.split_whitespace().count() + tag.matches('(').count();
        TAG_WEIGHT + VALUE_WEIGHT * values
    });
    2 * text.len() + weight.sum::<usize>()
}

impl Weight for Compiled {
    fn weight(&self) -> usize {
        self.weight
    }
}

impl Compiled {
    /// Compiles a template. The error continues a sentence that starts with the field's name, such as
    /// `The html_body`.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let variables = check(text)?;
        let mut template = Template::compile(&in_brackets(text, variables))
            .map_err(|error| format!("is not a valid template: {}", one_line(&error)))?;
        check_partials(&template)?;
        let copies = copies(&template);
        add_steps(&mut template, &Own::new()?, copies);
        Ok(Self {
            template,
            weight: weight_of(text),
        })
    }

    /// Renders the template. The error continues `The html_body cannot be rendered:`.
    pub(crate) fn fill(
        &self,
        escape: Escape,
        data: &Context,
        budget: &Arc<FillBudget>,
    ) -> Result<String, String> {
        // A template that failed has not released what it held.
        budget.release(usize::MAX);
        let mut context = RenderContext::new(None);
        let asked = Arc::clone(budget);
        let step = move |helper: &Helper<'_>,
                         _: &Handlebars<'_>,
                         _: &Context,
                         _: &mut RenderContext<'_, '_>,
                         _: &mut dyn Output|
              -> HelperResult {
            match asked.take_elements(number(helper, 0)) {
                true => Ok(()),
                false => Err(RenderErrorReason::Other(String::new()).into()),
            }
        };
        context.register_local_helper(STEP, Box::new(step));
        let asked = Arc::clone(budget);
        let hold = move |helper: &Helper<'_>,
                         _: &Handlebars<'_>,
                         _: &Context,
                         _: &mut RenderContext<'_, '_>,
                         _: &mut dyn Output|
              -> HelperResult {
            match asked.hold(held(helper)) {
                true => Ok(()),
                false => Err(RenderErrorReason::Other(String::new()).into()),
            }
        };
        context.register_local_helper(HOLD, Box::new(hold));
        let asked = Arc::clone(budget);
        let release = move |helper: &Helper<'_>,
                            _: &Handlebars<'_>,
                            _: &Context,
                            _: &mut RenderContext<'_, '_>,
                            _: &mut dyn Output|
              -> HelperResult {
            asked.release(number(helper, 0));
            Ok(())
        };
        context.register_local_helper(RELEASE, Box::new(release));
        let mut text = Text {
            bytes: Vec::new(),
            budget,
        };
        let filled = self
            .template
            .render(engine(escape), data, &mut context, &mut text);
        match (budget.exceeded.get(), filled) {
            (Some(limit), _) => Err(limit.clone()),
            (None, Err(error)) => Err(one_line(&error)),
            (None, Ok(())) => {
                String::from_utf8(text.bytes).map_err(|_| "its output is not UTF-8".to_owned())
            }
        }
    }
}

/// How values are escaped in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    Html,
    Nothing,
}

/// Returns an engine with only the helpers of Handlebars for JavaScript.
fn engine(escape: Escape) -> &'static Handlebars<'static> {
    static HTML: OnceLock<Handlebars<'static>> = OnceLock::new();
    static NOTHING: OnceLock<Handlebars<'static>> = OnceLock::new();
    let make = || {
        let mut engine = Handlebars::new();
        for added in [
            "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len",
        ] {
            engine.unregister_helper(added);
        }
        if escape == Escape::Nothing {
            engine.register_escape_fn(no_escape);
        }
        engine
    };
    match escape {
        Escape::Html => HTML.get_or_init(make),
        Escape::Nothing => NOTHING.get_or_init(make),
    }
}

/// The remaining budget for rendering the templates of a request.
#[derive(Debug)]
pub(crate) struct FillBudget {
    end: Instant,
    elements: AtomicUsize,
    bytes: AtomicUsize,
    /// For each held value, the total bytes of this value and those held before it.
    held: Mutex<Vec<usize>>,
    /// The first limit that was exceeded.
    exceeded: OnceLock<String>,
}

impl FillBudget {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            end: Instant::now() + TIME,
            elements: AtomicUsize::new(ELEMENTS),
            bytes: AtomicUsize::new(OUTPUT_IN_ALL * MIB),
            held: Mutex::default(),
            exceeded: OnceLock::new(),
        })
    }

    fn take_elements(&self, count: usize) -> bool {
        self.in_time()
            && self.take(&self.elements, count, || {
                format!(
                    "it needs more than {ELEMENTS} steps: reduce repetition or the items of each"
                )
            })
    }

    fn take_bytes(&self, count: usize, before: usize) -> bool {
        if before.saturating_add(count) > OUTPUT * MIB {
            return self.exceed(|| format!("the rendered output exceeds {OUTPUT} MiB"));
        }
        self.take(&self.bytes, count, || {
            format!("the rendered output of the request exceeds {OUTPUT_IN_ALL} MiB")
        })
    }

    fn hold(&self, bytes: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let all = held.last().copied().unwrap_or_default();
        let all = all.saturating_add(bytes);
        held.push(all);
        if all > HELD * MIB {
            return self.exceed(|| {
                format!(
                    "its partials, blocks and subexpressions copy more than {HELD} MiB of \
                     template_data: pass them less data or nest them less"
                )
            });
        }
        self.in_time()
    }

    fn release(&self, values: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let left = held.len().saturating_sub(values);
        held.truncate(left);
    }

    fn in_time(&self) -> bool {
        Instant::now() < self.end || self.exceed(too_long)
    }

    fn take(&self, from: &AtomicUsize, count: usize, say: impl Fn() -> String) -> bool {
        // Not atomic as a whole, which is enough: only one thread takes.
        let left = from.load(Ordering::Relaxed);
        match left.checked_sub(count) {
            Some(left) => {
                from.store(left, Ordering::Relaxed);
                true
            }
            None => self.exceed(say),
        }
    }

    fn exceed(&self, say: impl Fn() -> String) -> bool {
        self.exceeded.get_or_init(say);
        false
    }
}

fn too_long() -> String {
    format!("it needs more than {} s", TIME.as_secs())
}

/// The output of a template; writing charges the budget.
struct Text<'a> {
    bytes: Vec<u8>,
    budget: &'a FillBudget,
}

impl Output for Text<'_> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if !self.budget.take_bytes(text.len(), self.bytes.len()) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.write_all(text.as_bytes())
    }
}

/// Runs `work` on a thread of its own, and abandons the thread after [`TIME`]. The error says that
/// the time limit was exceeded or that no thread was available.
pub(crate) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let running = Running::begin()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        let done = work();
        // Frees the permit before the caller continues, which may need another.
        drop(running);
        // Fails if the caller has given up waiting.
        let _ = sender.send(done);
    });
    thread.map_err(|error| format!("cannot start a thread for it: {error}"))?;
    receiver
        .recv_timeout(TIME + GRACE)
        .map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => too_long(),
            mpsc::RecvTimeoutError::Disconnected => "the template engine panicked".to_owned(),
        })
}

/// A permit for one of the [`THREADS`], released on drop.
struct Running;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Running {
    /// Waits for a permit, at most for [`TIME`].
    fn begin() -> Result<Self, String> {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= THREADS;
        let waited = ENDED.wait_timeout_while(running, TIME, full);
        let (mut running, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(format!(
                "{THREADS} other templates are being compiled or rendered: try again later"
            ));
        }
        *running += 1;
        Ok(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Refuses a template for which the parser would need too much time or stack. Finds the same tags as
/// the parser. Refuses constructs that this function and the parser could read differently: raw
/// blocks, and object and list literals, which Handlebars for JavaScript does not have either.
///
/// Returns the ranges of variables such as `elsewhere`, which the parser would read as `else`.
fn check(text: &str) -> Result<Vec<Range<usize>>, String> {
    let broken = |why: &str| Err(format!("is not a valid template: {why}"));
    let mut variables = Vec::new();
    if text.contains(&"\\".repeat(BACKSLASHES + 1)) {
        return broken(&format!(
            "it has more than {BACKSLASHES} backslashes in a row"
        ));
    }
    let mut rest = text;
    let mut tags = 0_usize;
    // For each open block, the number of its `else if` so far.
    let mut blocks: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    while let Some(place) = rest.find("{{") {
        let (before, after) = rest.split_at(place);
        let after = after.get(2..).unwrap_or_default();
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        // Escaped tags count too: the parser removes their backslashes one by one.
        tags += 1;
        if backslashes == 1 {
            rest = after.strip_prefix("{{").unwrap_or(after);
            continue;
        }
        if let Some(comment) = after.strip_prefix('!') {
            let long = blank_before(comment).strip_prefix("--");
            let long = long.and_then(|long| long.split_once("--}}"));
            match long.or_else(|| comment.split_once("}}")) {
                Some((_, after)) => rest = after,
                None => return broken("a comment is not closed"),
            }
            continue;
        }
        if after.starts_with("{{") {
            return broken("the sandbox does not support raw blocks");
        }
        let (tag, after) = tag(after)?;
        rest = after;
        let tag = blank_before(tag.strip_prefix('{').unwrap_or(tag));
        let tag = blank_before(tag.strip_prefix('~').unwrap_or(tag));
        if tag.starts_with('#') {
            blocks.push(0);
            depth += 1;
        } else if tag.starts_with('/') {
            depth = depth.saturating_sub(1 + blocks.pop().unwrap_or_default());
        } else if let Some(length) = variable_like_else(tag) {
            // `tag` ends at the `}}` before `rest`.
            let begin = text.len() - rest.len() - 2 - tag.len();
            variables.push(begin..begin + length);
        } else if let Some(other) = tag.strip_prefix("else").or_else(|| tag.strip_prefix('^'))
            && !blank_before(other).trim_start_matches('~').is_empty()
            && let Some(chain) = blocks.last_mut()
        {
            *chain += 1;
            depth += 1;
        }
        if depth > DEPTH {
            return Err(format!("has blocks nested more than {DEPTH} deep."));
        }
    }
    match tags.checked_mul(text.len()) {
        Some(work) if work <= WORK => Ok(variables),
        _ => Err(format!(
            "has too many tags for its size: tags times bytes exceed {WORK} ({tags} tags, {} bytes); \
             shorten it or split it into several templates.",
            text.len()
        )),
    }
}

/// Returns the length of a name such as `elsewhere` at the start of a tag.
fn variable_like_else(tag: &str) -> Option<usize> {
    let other = tag.strip_prefix("else")?;
    let is_symbol = |letter: char| {
        letter.is_ascii_alphanumeric() || "-_$:".contains(letter) || !letter.is_ascii()
    };
    let after = other.trim_start_matches(is_symbol);
    (after.len() < other.len()).then(|| tag.len() - after.len())
}

/// Puts brackets around names, so that the parser reads them as names.
fn in_brackets(text: &str, names: Vec<Range<usize>>) -> String {
    let mut text = text.to_owned();
    for name in names.into_iter().rev() {
        text.insert(name.end, ']');
        text.insert(name.start, '[');
    }
    text
}

/// Splits a text that starts after a `{{` into the content of this tag and the text after its `}}`.
fn tag(text: &str) -> Result<(&str, &str), String> {
    let broken = |why: &str| Err(format!("is not a valid template: {why}"));
    let start = blank_before(text);
    let start = blank_before(start.strip_prefix('~').unwrap_or(start));
    // `{{{` is closed by `}}}`.
    let mut brace = start.starts_with('{').then(|| text.len() - start.len());
    let kind = start.strip_prefix('#').map_or(start, blank_before);
    let partial = kind.starts_with('>');
    if partial && kind.len() != start.len() {
        return broken("the sandbox does not support partials with a block");
    }
    let mut parentheses = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at).filter(|_| at < TAG) {
        let rest = text.get(at + 1..).unwrap_or_default();
        match byte {
            b'}' if brace.is_some_and(|opened| opened < at) => brace = None,
            b'}' if rest.starts_with('}') => {
                return Ok((
                    text.get(..at).unwrap_or_default(),
                    rest.get(1..).unwrap_or_default(),
                ));
            }
            b'{' if brace == Some(at) => {}
            b'{' | b'}' => return broken("a tag contains a brace"),
            b'(' if parentheses == PARENTHESES => {
                return Err(format!(
                    "has a tag with more than {PARENTHESES} subexpressions."
                ));
            }
            b'(' => parentheses += 1,
            b')' => parentheses = parentheses.saturating_sub(1),
            b'[' => {
                let key = rest.split_once(']').map(|(key, _)| key);
                match key {
                    Some(key) if !partial && !key.contains(['[', '{', '"', '\'']) => {
                        at += key.len() + 1;
                    }
                    _ => return broken("a tag contains a list"),
                }
            }
            b'"' | b'\'' => {
                let Some(length) = quoted(rest, *byte) else {
                    return broken("a string in a tag has no closing quote");
                };
                if partial && rest.get(..length).is_none_or(|text| text.contains('\\')) {
                    return broken("the name of a partial contains a backslash");
                }
                at += length + 1;
            }
            b'\\' => return broken("a tag contains a backslash"),
            _ => {}
        }
        at += 1;
    }
    match at < text.len() {
        true => Err(format!("has a tag with more than {TAG} bytes.")),
        false => broken("a tag is not closed"),
    }
}

/// Returns the length of the text before its closing quote.
fn quoted(text: &str, quote: u8) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// Removes the leading white space that the parser skips.
fn blank_before(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// Refuses inline partials that include each other in a cycle or are nested too deep.
fn check_partials(template: &Template) -> Result<(), String> {
    let mut partials: HashMap<&str, Vec<&Template>> = HashMap::new();
    find_partials(template, &mut partials)?;
    let mut walk = Walk {
        partials,
        begun: HashSet::new(),
        known: HashMap::new(),
    };
    match walk.depth(template)? {
        0..=DEPTH => Ok(()),
        _ => Err(format!(
            "has blocks and partials nested more than {DEPTH} deep."
        )),
    }
}

/// The templates inside an element: its content and its `else`.
fn parts(element: &TemplateElement) -> [Option<&Template>; 2] {
    match element {
        TemplateElement::HelperBlock(helper)
        | TemplateElement::Expression(helper)
        | TemplateElement::HtmlExpression(helper) => {
            [helper.template.as_ref(), helper.inverse.as_ref()]
        }
        TemplateElement::DecoratorExpression(decorator)
        | TemplateElement::DecoratorBlock(decorator)
        | TemplateElement::PartialExpression(decorator)
        | TemplateElement::PartialBlock(decorator) => [decorator.template.as_ref(), None],
        _ => [None, None],
    }
}

/// Collects the contents of all inline partials by name. Several may have the same name.
fn find_partials<'a>(
    template: &'a Template,
    found: &mut HashMap<&'a str, Vec<&'a Template>>,
) -> Result<(), String> {
    for element in &template.elements {
        if let TemplateElement::DecoratorBlock(decorator) = element {
            let Some(Parameter::Literal(Value::String(name))) = decorator.params.first() else {
                return Err("has an inline partial whose name is not in quotes.".to_owned());
            };
            found.entry(name).or_default().extend(&decorator.template);
        }
        for part in parts(element).into_iter().flatten() {
            find_partials(part, found)?;
        }
    }
    Ok(())
}

/// Determines how deep a template is nested.
struct Walk<'a> {
    partials: HashMap<&'a str, Vec<&'a Template>>,
    /// The partials that are being visited, to find cycles.
    begun: HashSet<&'a str>,
    known: HashMap<&'a str, usize>,
}

impl<'a> Walk<'a> {
    fn depth(&mut self, template: &'a Template) -> Result<usize, String> {
        let mut deepest = 0;
        for element in &template.elements {
            if let TemplateElement::PartialExpression(partial) = element {
                let Some(name) = partial.name.as_name() else {
                    return Err("has a partial whose name is an expression.".to_owned());
                };
                deepest = deepest.max(self.depth_of(name.trim_matches(['\'', '"']))? + 1);
            }
            for part in parts(element).into_iter().flatten() {
                deepest = deepest.max(self.depth(part)? + 1);
            }
        }
        Ok(deepest)
    }

    /// The depth of a partial. An unknown name has depth 0.
    fn depth_of(&mut self, name: &'a str) -> Result<usize, String> {
        if let Some(depth) = self.known.get(name) {
            return Ok(*depth);
        }
        if !self.begun.insert(name) {
            return Err(format!(
                "has an inline partial that includes itself: {name:?}."
            ));
        }
        let mut deepest = 0;
        for partial in self.partials.get(name).cloned().unwrap_or_default() {
            deepest = deepest.max(self.depth(partial)?);
        }
        self.begun.remove(name);
        self.known.insert(name, deepest);
        Ok(deepest)
    }
}

/// Whether a template can copy its data. Without partials and subexpressions every value is
/// borrowed from the data.
fn copies(template: &Template) -> bool {
    let by_helper = |helper: &HelperTemplate| {
        let mut values = helper.params.iter().chain(helper.hash.values());
        values.any(|value| matches!(value, Parameter::Subexpression(_)))
    };
    template.elements.iter().any(|element| {
        let own = match element {
            TemplateElement::PartialExpression(_) => true,
            TemplateElement::HelperBlock(helper)
            | TemplateElement::Expression(helper)
            | TemplateElement::HtmlExpression(helper) => by_helper(helper),
            _ => false,
        };
        own || parts(element).into_iter().flatten().any(copies)
    })
}

/// Inserts a call of [`STEP`] at the start of a template and of each template inside it. If `copies`
/// is set, also inserts calls of [`HOLD`] before each tag and one of [`RELEASE`] after it.
fn add_steps(template: &mut Template, own: &Own, copies: bool) {
    // Includes the call itself.
    let count = template.elements.len() + 1;
    let mut places = std::mem::take(&mut template.mapping).into_iter();
    let elements = std::mem::take(&mut template.elements);
    let mut add = |element, place| {
        template.elements.push(element);
        // Errors look up an element's place by its index.
        template.mapping.push(place);
    };
    add(own.call(STEP, vec![literal(count)]), own.place.clone());
    for mut element in elements {
        match &mut element {
            TemplateElement::HelperBlock(helper) => {
                let parts = [&mut helper.template, &mut helper.inverse];
                for part in parts.into_iter().flatten() {
                    add_steps(part, own, copies);
                }
            }
            TemplateElement::DecoratorBlock(decorator) => {
                if let Some(part) = &mut decorator.template {
                    add_steps(part, own, copies);
                }
            }
            _ => {}
        }
        let values = match copies {
            true => own.values(&element),
            false => Vec::new(),
        };
        let held = values.len();
        let place = places.next().unwrap_or_else(|| own.place.clone());
        for value in values {
            // An error in a value is reported at its tag.
            add(own.call(HOLD, value), place.clone());
        }
        add(element, place.clone());
        if held > 0 {
            add(own.call(RELEASE, vec![literal(held)]), place);
        }
    }
}

fn literal(number: usize) -> Parameter {
    Parameter::Literal(number.into())
}

/// Makes the helper calls that the sandbox inserts into templates.
struct Own {
    call: HelperTemplate,
    place: TemplateMapping,
    /// The data itself: `this`.
    this: Parameter,
}

impl Own {
    fn new() -> Result<Self, String> {
        let mut template = Template::compile("{{call this}}").map_err(|error| one_line(&error))?;
        match (template.elements.pop(), template.mapping.pop()) {
            (Some(TemplateElement::Expression(mut call)), Some(place)) => {
                let this = call.params.pop();
                let this =
                    this.ok_or_else(|| "internal error: can't build a helper call".to_owned())?;
                Ok(Self {
                    call: *call,
                    place,
                    this,
                })
            }
            _ => Err("internal error: can't build a helper call".to_owned()),
        }
    }

    fn call(&self, name: &str, params: Vec<Parameter>) -> TemplateElement {
        let mut call = self.call.clone();
        call.name = Parameter::Name(name.to_owned());
        call.params = params;
        TemplateElement::Expression(Box::new(call))
    }

    /// Returns the parameters of [`HOLD`] for each value of a tag. A partial's data comes last.
    fn values(&self, element: &TemplateElement) -> Vec<Vec<Parameter>> {
        let mut values = Vec::new();
        match element {
            TemplateElement::HelperBlock(helper)
            | TemplateElement::Expression(helper)
            | TemplateElement::HtmlExpression(helper) => {
                add_values(helper, &mut values);
                let values = values.into_iter();
                values.map(|value| vec![literal(VALUE), value]).collect()
            }
            TemplateElement::PartialExpression(partial) => {
                for value in partial.hash.values().chain(&partial.params) {
                    add_value(value, &mut values);
                }
                let values = values.into_iter();
                let mut values: Vec<_> = values.map(|value| vec![literal(COPY), value]).collect();
                let data = partial.params.first().unwrap_or(&self.this).clone();
                let kind = if partial.hash.is_empty() { COPY } else { MERGE };
                values.push(vec![literal(kind), data]);
                values
            }
            _ => Vec::new(),
        }
    }
}

// The kinds of values that `HOLD` counts.

/// The tag copies the value only if it does not come from the data.
const VALUE: usize = 0;
/// The tag always copies the value.
const COPY: usize = 1;
/// The tag copies the value into the members of an object.
const MERGE: usize = 2;

/// Collects the values that a tag looks up, those of its subexpressions first.
fn add_values(helper: &HelperTemplate, values: &mut Vec<Parameter>) {
    for value in helper.params.iter().chain(helper.hash.values()) {
        add_value(value, values);
    }
}

fn add_value(value: &Parameter, values: &mut Vec<Parameter>) {
    match value {
        Parameter::Subexpression(inner) => {
            if let TemplateElement::Expression(helper) = inner.as_element() {
                add_values(helper, values);
            }
            values.push(value.clone());
        }
        Parameter::Path(_) => values.push(value.clone()),
        _ => {}
    }
}

/// Returns how many bytes a tag holds for the value of a [`HOLD`].
fn held(helper: &Helper<'_>) -> usize {
    let kind = number(helper, 0);
    let Some(value) = helper.param(1) else {
        return 0;
    };
    let members = match value.value() {
        Value::Array(items) => items.len(),
        Value::String(text) => text.len(),
        _ => 0,
    };
    match kind {
        VALUE if value.context_path().is_some() => 0,
        MERGE => COPIES * value.value().weight() + MEMBER * members,
        _ => COPIES * value.value().weight(),
    }
}

/// A numeric parameter of a call. Default: 1.
fn number(helper: &Helper<'_>, place: usize) -> usize {
    let number = helper.param(place).and_then(|param| param.value().as_u64());
    number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(1)
}

/// Shortens an error to one line of at most [`LONGEST_ERROR`] characters.
fn one_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(text: &str, data: &Value) -> Result<String, String> {
        let (text, data) = (text.to_owned(), data.clone());
        apart(move || {
            let template = Compiled::new(&text)?;
            let data = Context::wraps(data).map_err(|error| error.to_string())?;
            template.fill(Escape::Html, &data, &FillBudget::new())
        })?
    }

    #[test]
    fn common_template_constructs_are_rendered() {
        let data = json!({ "a": "x", "list": [{ "b": 1 }, { "b": 2 }], "a b": "s", "no": false,
                           "elsewhere": "e", "elsé": { "b": 1 } });
        for (text, expected) in [
            ("{{a}} {{{a}}} {{~a~}} {{ a }} {{{~ a }}}", "x xxxx"),
            ("\\{{a}} \\\\{{a}}", "{{a}} \\x"),
            ("{{! c }}{{!-- {{a}} --}}{{! -- c -- }}y", "y"),
            ("{{[a b]}} {{list.[1].b}} {{list.1.b}}", "s 2 2"),
            (
                "{{#each list as |item at|}}{{at}}{{item.b}}{{../a}};{{/each}}",
                "01x;12x;",
            ),
            (
                "{{#each list}}{{#unless @first}},{{/unless}}{{b}}{{/each}}",
                "1,2",
            ),
            (
                "{{#if no}}1{{else if a}}2{{else}}3{{/if}}{{#if no}}1{{^}}3{{/if}}",
                "23",
            ),
            ("{{#with (lookup list 1)}}{{b}}{{/with}}", "2"),
            ("{{lookup this \"a b\"}}{{lookup this 'a }} b'}}", "s"),
            (
                "{{#*inline \"p\"}}[{{b}}]{{/inline}}{{#each list}}{{> p}}{{/each}}",
                "[1][2]",
            ),
            (
                "{{#*inline \"p\"}}{{c}}{{/inline}}{{#*inline \"q\"}}{{> p c=1}}{{/inline}}{{> q}}",
                "1",
            ),
            (
                "<style>a { b: c } d {{a}} [ ( { </style>",
                "<style>a { b: c } d x [ ( { </style>",
            ),
            ("\n  {{#if a}}\n  y\n  {{/if}}\n", "\n  y\n"),
            (
                "{{elsewhere}}{{#if a}}{{~ elsewhere ~}}{{{elsewhere}}}{{elsé.b}}{{else}}n{{/if}}",
                "eee1",
            ),
        ] {
            assert_eq!(fill(text, &data).as_deref(), Ok(expected), "{text}");
        }
    }

    /// Without the limits, each of these templates runs for minutes, takes gigabytes or ends the
    /// process.
    #[test]
    fn template_that_exhausts_time_memory_or_stack_is_refused() {
        let items = json!({ "a": vec![0; 1_000], "text": "x".repeat(100_000) });
        let large = json!({ "a": "x".repeat(400_000), "text": "x".repeat(400_000) });
        let nested = "{{#each a}}{{#each ../a}}{{#each ../../a}}";
        let each = "{{/each}}".repeat(3);
        let inline =
            |name: &str, text: &str| format!("{{{{#*inline \"{name}\"}}}}{text}{{{{/inline}}}}");
        let doubled: String = (1..60)
            .map(|n| {
                inline(
                    &format!("p{n}"),
                    &format!("{{{{> p{0}}}}}{{{{> p{0}}}}}", n - 1),
                )
            })
            .collect();
        let chain: String = (1..200)
            .map(|n| inline(&format!("p{n}"), &format!("{{{{> p{}}}}}", n - 1)))
            .collect();
        let nested_with = |name: &str, variables: &str| -> String {
            (1..100)
                .map(|n| {
                    inline(
                        &format!("{name}{n}"),
                        &format!("{{{{> {name}{}{variables}}}}}", n - 1),
                    )
                })
                .collect()
        };
        let each_named = |name: &str, value: &str| -> String {
            (0..300).map(|n| format!("{name}{n}{value}")).collect()
        };
        for (text, reason) in [
            (inline("p", "{{> p}}") + "{{> p}}", "includes itself: \"p\""),
            (
                inline("p", "{{> q}}") + &inline("q", "{{#if a}}{{> p}}{{/if}}") + "{{> p}}",
                "includes itself",
            ),
            // Whichever comes first: too many steps, or too much time for copies of the data.
            (
                inline("p0", "") + &doubled + "{{> p59}}",
                "it needs more than",
            ),
            (
                inline("p0", "x") + &doubled + "{{> p59}}",
                "it needs more than",
            ),
            (
                inline("p0", "") + &nested_with("p", " x=1") + "{{> p99}}",
                "copy more than 64 MiB",
            ),
            (
                inline("p0", "") + &nested_with("p", " x=this") + "{{> p99}}",
                "copy more than 64 MiB",
            ),
            (
                inline("p0", "") + &format!("{{{{> p0{}}}}}", each_named(" x", "=this")),
                "copy more than 64 MiB",
            ),
            (
                inline("p0", &format!("{{{{lookup a{}}}}}", " this".repeat(800))) + "{{> p0}}",
                "copy more than 64 MiB",
            ),
            (
                format!("{{{{lookup a{}}}}}", " (lookup this \"text\")".repeat(180)),
                "copy more than 64 MiB",
            ),
            (
                "{{#with (lookup this \"text\")}}".to_owned()
                    + &"{{#with this}}".repeat(98)
                    + &"{{/with}}".repeat(99),
                "copy more than 64 MiB",
            ),
            (
                inline("p", "") + "{{> p text x=1}}",
                "copy more than 64 MiB",
            ),
            (
                inline("p0", "") + &chain + "{{> p199}}",
                "blocks and partials nested more than 100 deep",
            ),
            ("{{#*inline a}}{{/inline}}".to_owned(), "not in quotes"),
            (
                "{{> (lookup this 'text')}}".to_owned(),
                "name is an expression",
            ),
            ("{{#> p}}{{/p}}".to_owned(), "partials with a block"),
            (format!("{nested}x{each}"), "more than 1000000 steps"),
            (format!("{nested}{each}"), "more than 1000000 steps"),
            (
                "{{#each a}}{{../text}}{{/each}}".to_owned(),
                "output exceeds 8 MiB",
            ),
            (
                format!("{{{{#each a}}}}{}{{{{/each}}}}", "x".repeat(10_000)),
                "output exceeds 8 MiB",
            ),
            ("{{#if a}}".repeat(101), "nested more than 100 deep"),
            (
                format!("{{{{#if b}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(100)),
                "nested more than 100 deep",
            ),
            (
                format!("{{{{a {}", "(a ".repeat(100_000)),
                "more than 10 subexpressions",
            ),
            (format!("{{{{a {}", "[".repeat(100_000)), "contains a list"),
            (
                format!("{{{{a {}", "{\"\":".repeat(100_000)),
                "contains a brace",
            ),
            (
                format!("{{{{a {}}}}}", "b ".repeat(100_000)),
                "a tag with more than 4096 bytes",
            ),
            ("{{a}}".repeat(100_000), "too many tags for its size"),
            ("\\{{".repeat(100_000), "too many tags for its size"),
            ("\\".repeat(100_000), "backslashes in a row"),
            ("{{!--".repeat(100_000), "a comment is not closed"),
            ("{{{{a}}}}{{{{/a}}}}".to_owned(), "raw blocks"),
            ("{{a \"}}".to_owned(), "has no closing quote"),
            ("{{> 'a\\\\' }}' }}".to_owned(), "contains a backslash"),
        ] {
            let begun = Instant::now();
            let data = if reason.starts_with("copy") {
                &large
            } else {
                &items
            };
            let start = text.chars().take(60).collect::<String>();
            let error = fill(&text, data).expect_err(&start);
            assert!(error.contains(reason), "{start}: {error}");
            assert!(begun.elapsed() < 2 * TIME, "{start}");
        }
    }

    #[test]
    fn template_with_more_than_100_nested_blocks_is_refused() {
        let nested = |count| format!("{}x{}", "{{#if a}}".repeat(count), "{{/if}}".repeat(count));
        let chained = |count| format!("{{{{#if b}}}}{}{{{{/if}}}}", "{{else if a}}x".repeat(count));
        for (text, allowed) in [
            (nested(DEPTH), true),
            (nested(DEPTH + 1), false),
            (
                nested(DEPTH + 1)
                    .replace("{{#", "{{~# ")
                    .replace("if a", "if  a"),
                false,
            ),
            (nested(1).repeat(DEPTH + 1), true),
            (chained(DEPTH - 1), true),
            (chained(DEPTH), false),
            (chained(2).repeat(DEPTH), true),
            ("{{a}}".repeat(DEPTH + 1), true),
            (
                format!(
                    "{{{{#if a}}}}{}{{{{/if}}}}",
                    "{{elsewhere}}".repeat(DEPTH + 1)
                ),
                true,
            ),
            (
                format!("{{{{#if b}}}}{}{{{{/if}}}}", "{{^if b}}x".repeat(DEPTH)),
                false,
            ),
        ] {
            let filled = fill(&text, &json!({ "a": true }));
            assert_eq!(filled.is_ok(), allowed, "{text} {filled:?}");
        }
    }

    #[test]
    fn template_within_its_limits_is_rendered() {
        let rows = json!({ "rows": vec![json!({ "a": "x", "b": "y" }); 10_000] });
        let table = "{{#each rows}}<tr><td>{{a}}<td>{{b}}{{#if c}}{{c}}{{/if}}</tr>{{/each}}";
        let filled = fill(table, &rows).unwrap();
        assert_eq!(filled.matches("<tr>").count(), 10_000);
        let large = format!("{}{}", "x".repeat(700_000), "{{a}} y ".repeat(100));
        assert!(fill(&large, &json!({ "a": 1 })).is_ok());
        for (tags, bytes) in [(350, 290_000), (1_001, 100_000), (3_000, 60_000)] {
            let text = format!("{{{{a}}}}{}", "x".repeat(bytes / tags - 5)).repeat(tags);
            let filled = fill(&text, &json!({ "a": 1 }));
            assert!(filled.is_ok(), "{tags} tags in {bytes} bytes: {filled:?}");
        }
        let partials = "{{#*inline \"cell\"}}<td>{{title}}{{b}}{{/inline}}\
             {{#*inline \"row\"}}<tr>{{> cell title=a}}{{/inline}}\
             {{#each rows}}{{> row this}}{{/each}}{{#*inline \"end\"}}{{c}}{{/inline}}{{> end}}";
        let rows = json!({ "rows": vec![json!({ "a": "x", "b": "y" }); 1_000],
                           "c": "z".repeat(1_000_000) });
        let filled = fill(partials, &rows).unwrap();
        assert_eq!(filled.matches("<tr><td>xy").count(), 1_000);
    }

    #[test]
    fn work_beyond_the_time_limit_is_abandoned() {
        let begun = Instant::now();
        let (hold, held) = mpsc::channel::<()>();
        let given_up = apart(move || held.recv());
        assert_eq!(given_up, Err(too_long()));
        assert!(begun.elapsed() < 4 * TIME);
        assert_eq!(apart(|| 1), Ok(1));
        drop(hold);
        let panicked = apart(|| assert_eq!(1, 2));
        assert_eq!(panicked, Err("the template engine panicked".to_owned()));
    }
}
