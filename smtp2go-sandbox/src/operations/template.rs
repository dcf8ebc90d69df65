//! Templates, and mail made from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use handlebars::{Handlebars, no_escape};
use serde_json::{Map, Value, json};

use super::fields::{check_length, descending, flag, occurs, page_size, text, texts};
use super::{Context, Reply};
use crate::account::Account;
use crate::clock;
use crate::paging::page;
use crate::refusal::Refusal;

/// The most blocks in one another; a thousand would take more stack than there is.
const DEPTH: usize = 100;

/// What an account has of them, by id.
#[derive(Debug, Default)]
pub(crate) struct State {
    templates: BTreeMap<String, Template>,
}

#[derive(Clone, Debug)]
struct Template {
    name: String,
    subject: String,
    html_body: String,
    text_body: String,
    variables: Map<String, Value>,
    tags: Vec<String>,
    updated: SystemTime,
}

/// A mail made from a template.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) html_body: String,
    pub(crate) text_body: String,
}

/// Fills in the template of an account. `data` is an object, or a text with one in JSON; what it
/// does not have is left empty. Only the HTML is escaped.
pub(crate) fn render(account: &Account, id: &str, data: &Value) -> Result<Rendered, Refusal> {
    let template = account.template.find(id)?;
    let parsed;
    let data = match data {
        Value::String(text) => {
            parsed = serde_json::from_str(text).map_err(|error| {
                Refusal::field("template_data", format!("The value is no JSON: {error}."))
            })?;
            &parsed
        }
        other => other,
    };
    if !data.is_object() && !data.is_null() {
        return Err(Refusal::field("template_data", "The value is no object."));
    }
    let mut engine = engine();
    let html_body = fill(&engine, id, "html_body", &template.html_body, data)?;
    engine.register_escape_fn(no_escape);
    Ok(Rendered {
        subject: fill(&engine, id, "subject", &template.subject, data)?,
        html_body,
        text_body: fill(&engine, id, "text_body", &template.text_body, data)?,
    })
}

/// Handlebars as the JavaScript original has it.
fn engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    for added in [
        "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len",
    ] {
        engine.unregister_helper(added);
    }
    engine
}

fn fill(
    engine: &Handlebars<'_>,
    id: &str,
    part: &str,
    text: &str,
    data: &Value,
) -> Result<String, Refusal> {
    engine.render_template(text, data).map_err(|error| {
        Refusal::exception(format!(
            "The {part} of template {id:?} cannot be filled in: {}",
            one_line(&error)
        ))
    })
}

/// Refuses what is not Handlebars.
fn check_syntax(template: &Template) -> Result<(), Refusal> {
    for (part, text) in [
        ("subject", &template.subject),
        ("html_body", &template.html_body),
        ("text_body", &template.text_body),
    ] {
        handlebars::Template::compile(text).map_err(|error| {
            Refusal::exception(format!("The {part} is no template: {}", one_line(&error)))
        })?;
        if depth(text) > DEPTH {
            return Err(Refusal::exception(format!(
                "The {part} has more than {DEPTH} blocks in one another."
            )));
        }
    }
    Ok(())
}

/// At least how many blocks are in one another: filling in calls itself for each. `else if` counts as
/// one too.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut chained) = (0_usize, 0, 0);
    for tag in text.split("{{").skip(1) {
        let tag = tag.trim_start_matches(['{', '~']).trim_start();
        // `{{^}}` alone is another word for `else`.
        if tag.starts_with('#') || (tag.starts_with('^') && !tag.starts_with("^}")) {
            depth += 1;
            deepest = deepest.max(depth);
        } else if tag.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if tag.starts_with("else ") {
            chained += 1;
        }
    }
    deepest + chained
}

fn one_line(error: &impl ToString) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl State {
    fn find(&self, id: &str) -> Result<&Template, Refusal> {
        let template = self.templates.get(id);
        template.ok_or_else(|| Refusal::exception(format!("There is no template {id:?}.")))
    }

    fn check_new(&self, id: &str) -> Result<(), Refusal> {
        match self.templates.contains_key(id) {
            true => Err(Refusal::exception(format!(
                "There is a template {id:?} already."
            ))),
            false => Ok(()),
        }
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let now = context.now();
    let state = &mut context.account().template;
    let id = text(request, "id").unwrap_or_default();
    match operation {
        "template_add" => {
            state.check_new(id)?;
            let template = Template {
                name: String::new(),
                subject: String::new(),
                html_body: String::new(),
                text_body: String::new(),
                variables: Map::new(),
                tags: Vec::new(),
                updated: now,
            };
            let template = template.change(request, now)?;
            let reply = template.show_changed(id);
            state.templates.insert(id.to_owned(), template);
            Ok(Reply::Data(reply))
        }
        "template_edit" => {
            let template = state.find(id)?.clone().change(request, now)?;
            check_length(request, "new_id", 5, 24)?;
            let new_id = text(request, "new_id").unwrap_or(id);
            if new_id != id {
                state.check_new(new_id)?;
            }
            let reply = template.show_changed(new_id);
            state.templates.remove(id);
            state.templates.insert(new_id.to_owned(), template);
            Ok(Reply::Data(reply))
        }
        "template_delete" => {
            state.find(id)?;
            state.templates.remove(id);
            Ok(Reply::Data(format!("Template {id} is gone.").into()))
        }
        "template_search" => search(state, request),
        "template_view" => {
            let template = state.find(id)?;
            let mut reply = template.summary(id);
            template.put_bodies(&mut reply);
            Ok(Reply::Data(reply))
        }
        _ => Ok(Reply::Example),
    }
}

fn search(state: &State, request: &Value) -> Result<Reply, Refusal> {
    let terms = texts(request, "search_terms");
    let tags = texts(request, "tags");
    let fuzzy = flag(request, "fuzzy_search").unwrap_or(false);
    let found = |id: &String, template: &Template| {
        let mut texts = vec![id, &template.name, &template.subject];
        texts.extend(&template.tags);
        let like = |term: &&str| {
            let mut texts = texts.iter();
            texts.any(|text| match fuzzy {
                true => occurs(term, text),
                false => text.contains(*term),
            })
        };
        terms.is_empty() || terms.iter().any(like)
    };
    let tagged = |template: &Template| {
        let mut own = template.tags.iter();
        tags.is_empty() || own.any(|tag| tags.contains(&tag.as_str()))
    };
    let templates = state.templates.iter();
    let mut templates: Vec<_> = templates
        .filter(|(id, template)| found(id, template) && tagged(template))
        .collect();
    templates.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    if descending(request, "sort_direction")? {
        templates.reverse();
    }
    let total = templates.len();
    let token = text(request, "continue_token");
    let page = page(templates, page_size(request)?, "continue_token", token)?;
    let rows = page.items.into_iter();
    let rows: Value = rows.map(|(id, template)| template.summary(id)).collect();
    Ok(Reply::Data(json!({
        "continue_token": page.token,
        "templates": rows,
        "total_count": total,
    })))
}

impl Template {
    /// With those changed that the request has.
    fn change(mut self, request: &Value, now: SystemTime) -> Result<Self, Refusal> {
        check_length(request, "template_name", 1, 64)?;
        for (field, place) in [
            ("template_name", &mut self.name),
            ("subject", &mut self.subject),
            ("html_body", &mut self.html_body),
            ("text_body", &mut self.text_body),
        ] {
            if let Some(text) = text(request, field) {
                text.clone_into(place);
            }
        }
        if let Some(variables) = request.get("template_variables").and_then(Value::as_object) {
            variables.clone_into(&mut self.variables);
        }
        if request.get("tags").is_some() {
            self.tags = texts(request, "tags")
                .into_iter()
                .map(str::to_owned)
                .collect();
        }
        self.updated = now;
        check_syntax(&self)?;
        Ok(self)
    }

    /// As a search shows it.
    fn summary(&self, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "subject": self.subject,
            "tags": self.tags,
            // To the second and without a zone.
            "last_updated": clock::rfc3339(self.updated).replace('T', " ").trim_end_matches('Z'),
        })
    }

    fn put_bodies(&self, reply: &mut Value) {
        reply["html_body"] = self.html_body.as_str().into();
        reply["text_body"] = self.text_body.as_str().into();
        reply["template_variables"] = self.variables.clone().into();
    }

    /// As adding and editing show it: the name is called otherwise there.
    fn show_changed(&self, id: &str) -> Value {
        let mut reply = json!({
            "id": id,
            "template_name": self.name,
            "subject": self.subject,
            "tags": self.tags,
        });
        self.put_bodies(&mut reply);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    fn template(text: &str) -> Value {
        json!({ "id": "welcome", "template_name": "Welcome", "subject": text, "html_body": text,
                "text_body": text })
    }

    #[test]
    fn templates_are_filled_in() {
        let data = json!({ "name": "O'Neil & Co", "items": [{ "n": 1 }, { "n": 2 }], "on": true });
        for (text, html, plain) in [
            (
                "Hello {{ name }}!",
                "Hello O&#x27;Neil &amp; Co!",
                "Hello O'Neil & Co!",
            ),
            ("{{{ name }}}", "O'Neil & Co", "O'Neil & Co"),
            ("{{ missing }}{{ items.7.n }}.", ".", "."),
            ("{{#each items}}{{n}},{{/each}}", "1,2,", "1,2,"),
            (
                "{{#if on}}a{{else}}b{{/if}}{{#unless on}}c{{/unless}}",
                "a",
                "a",
            ),
            ("{{#with items.1}}{{n}}{{/with}}", "2", "2"),
            ("", "", ""),
        ] {
            let shared = shared(|_| {});
            call(&shared, "template_add", &template(text)).unwrap();
            let expected = Rendered {
                subject: plain.to_owned(),
                html_body: html.to_owned(),
                text_body: plain.to_owned(),
            };
            let world = shared.world();
            let account = world.account(AccountId::MASTER);
            for data in [&data, &data.to_string().into()] {
                assert_eq!(
                    render(account, "welcome", data).unwrap(),
                    expected,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn blocks_in_one_another_are_counted() {
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
            ("{{a}}".repeat(DEPTH + 1), true),
        ] {
            let shared = shared(|_| {});
            let added = call(&shared, "template_add", &template(&text));
            assert_eq!(added.is_ok(), allowed, "{text} {added:?}");
            if allowed {
                let world = shared.world();
                let account = world.account(AccountId::MASTER);
                render(account, "welcome", &json!({ "a": true })).unwrap();
            }
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for (text, id, data, reason) in [
            ("x", "Welcome", json!({}), "There is no template"),
            (
                "{{> header}}",
                "welcome",
                json!({}),
                "The html_body of template",
            ),
            (
                "{{#if (eq a b)}}x{{/if}}",
                "welcome",
                json!({}),
                "The html_body of template",
            ),
            ("x", "welcome", json!("{"), "template_data: "),
            ("x", "welcome", json!([1]), "template_data: "),
        ] {
            let shared = shared(|_| {});
            call(&shared, "template_add", &template(text)).unwrap();
            let world = shared.world();
            let refusal = render(world.account(AccountId::MASTER), id, &data).unwrap_err();
            assert!(refusal.reason().starts_with(reason), "{}", refusal.reason());
        }
        let shared = shared(|_| {});
        for broken in ["{{#if a}}", "{{ a", "{{/if}}"] {
            let refusal = call(&shared, "template_add", &template(broken)).unwrap_err();
            assert!(refusal.reason().starts_with("The subject is no template"));
        }
    }
}
