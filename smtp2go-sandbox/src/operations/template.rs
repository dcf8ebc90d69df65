//! Templates, and their rendering in mails.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use handlebars::Context as Data;
use serde_json::{Map, Value, json};

use super::fields::{check_length, descending, few, flag, occurs, page_size, set, text, texts};
use super::{Context, Reply};
use crate::account::Account;
use crate::clock;
use crate::data::Kept;
use crate::filling::{Compiled, Escape, FillBudget, apart, weight_of};
use crate::mail::list;
use crate::paging::{numbered, page};
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The templates of an account, by id.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    pub(crate) templates: Kept<String, Template>,
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) html_body: String,
    pub(crate) text_body: String,
    #[serde(skip)]
    parts: Parts,
    pub(crate) variables: Map<String, Value>,
    pub(crate) tags: Vec<String>,
    pub(crate) updated: Option<SystemTime>,
}

/// The compiled subject and bodies of a template. Missing ones are `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    subject: Option<Arc<Compiled>>,
    html_body: Option<Arc<Compiled>>,
    text_body: Option<Arc<Compiled>>,
}

/// The rendered template of a mail.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) html_body: String,
    pub(crate) text_body: String,
}

/// Memory of a request's compiled parts in bytes.
pub(crate) fn compiled_weight(request: &Value) -> usize {
    let parts = ["subject", "html_body", "text_body"].into_iter();
    parts
        .filter_map(|part| text(request, part))
        .map(weight_of)
        .sum()
}

impl Parts {
    /// Compiles the parts of a request on a separate thread.
    pub(crate) fn compile(request: &Value) -> Result<Self, Refusal> {
        let texts = ["subject", "html_body", "text_body"]
            .map(|part| text(request, part).map(|text| (part, text.to_owned())));
        let compile = |(part, text): (_, String)| match Compiled::new(&text) {
            Ok(compiled) => Ok(Arc::new(compiled)),
            Err(why) => Err(format!("The {part} {why}")),
        };
        let compiled = apart(move || {
            let [subject, html_body, text_body] = texts.map(|text| text.map(compile).transpose());
            Ok(Self {
                subject: subject?,
                html_body: html_body?,
                text_body: text_body?,
            })
        });
        compiled
            .unwrap_or_else(|why| Err(format!("The template cannot be compiled: {why}.")))
            .map_err(Refusal::exception)
    }

    fn replace_with(&mut self, new: Self) {
        for (part, new) in [
            (&mut self.subject, new.subject),
            (&mut self.html_body, new.html_body),
            (&mut self.text_body, new.text_body),
        ] {
            if new.is_some() {
                *part = new;
            }
        }
    }
}

/// A mail whose template is to be rendered.
pub(crate) struct Order {
    /// Index of the mail in a batch.
    item: Option<usize>,
    id: String,
    /// `None` if the template does not exist.
    parts: Option<Parts>,
}

/// Returns the mails of a request whose templates are to be rendered.
pub(crate) fn orders(account: &Account, request: &Value) -> Vec<Order> {
    let order = |item, mail: &Value| {
        let id = text(mail, "template_id")?;
        let template = account.template.templates.get(id);
        Some(Order {
            item,
            id: id.to_owned(),
            parts: template.map(|template| template.parts.clone()),
        })
    };
    let items = list(request, "emails").iter().enumerate();
    let items = items.filter_map(|(item, mail)| order(Some(item), mail));
    order(None, request).into_iter().chain(items).collect()
}

/// The results of [`orders`], in the same order.
pub(crate) type AllRendered = Vec<Result<Rendered, Refusal>>;

/// Renders the templates of a request on a separate thread. Only the HTML is escaped. Missing variables
/// are rendered as empty.
pub(crate) fn render(request: &Arc<Value>, orders: Vec<Order>) -> AllRendered {
    let count = orders.len();
    if count == 0 {
        return Vec::new();
    }
    let request = Arc::clone(request);
    let rendered = apart(move || {
        let budget = FillBudget::new();
        let orders = orders.iter();
        orders
            .map(|order| {
                let mail = match order.item {
                    Some(item) => &request["emails"][item],
                    None => &request,
                };
                order.render(mail.get("template_data"), &budget)
            })
            .collect()
    });
    rendered.unwrap_or_else(|why| {
        let refuse = || {
            Err(Refusal::exception(format!(
                "The template cannot be rendered: {why}."
            )))
        };
        std::iter::repeat_with(refuse).take(count).collect()
    })
}

impl Order {
    /// Renders the template. `data` is an object, or a string with the object's JSON.
    fn render(&self, data: Option<&Value>, budget: &Arc<FillBudget>) -> Result<Rendered, Refusal> {
        let Some(parts) = &self.parts else {
            return Err(no_template(&self.id));
        };
        let data = match data {
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|error| {
                Refusal::field("template_data", format!("The value must be JSON: {error}."))
            })?,
            Some(other) => other.clone(),
            None => Value::Null,
        };
        if !data.is_object() && !data.is_null() {
            return Err(Refusal::field(
                "template_data",
                "The value must be an object.",
            ));
        }
        let fill = |part: &str, compiled: &Option<Arc<Compiled>>, escape, data: &Data| {
            let Some(compiled) = compiled else {
                return Ok(String::new());
            };
            compiled.fill(escape, data, budget).map_err(|why| {
                Refusal::exception(format!(
                    "The {part} of template {:?} cannot be rendered: {why}.",
                    self.id
                ))
            })
        };
        let data = Data::from(data);
        Ok(Rendered {
            html_body: fill("html_body", &parts.html_body, Escape::Html, &data)?,
            subject: fill("subject", &parts.subject, Escape::Nothing, &data)?,
            text_body: fill("text_body", &parts.text_body, Escape::Nothing, &data)?,
        })
    }
}

fn no_template(id: &str) -> Refusal {
    Refusal::exception(format!("The template {id:?} does not exist."))
}

weigh!(Templates { templates });
weigh!(Parts {
    subject,
    html_body,
    text_body
});
weigh!(Template {
    name,
    subject,
    html_body,
    text_body,
    variables,
    tags,
    updated,
    parts
});

impl Templates {
    fn find(&self, id: &str) -> Result<&Template, Refusal> {
        let template = self.templates.get(id);
        template.ok_or_else(|| no_template(id))
    }

    /// Compiles the templates that were read from the data file.
    #[cfg(feature = "data")]
    pub(crate) fn compile(&mut self) -> Result<(), String> {
        for template in self.templates.each_mut(|_| true) {
            let parts = [
                ("subject", &template.subject),
                ("html_body", &template.html_body),
                ("text_body", &template.text_body),
            ];
            let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
            let parts = parts.map(|(part, text)| (part.to_owned(), text.as_str().into()));
            template.parts = Parts::compile(&Value::Object(parts.collect()))
                .map_err(|refusal| refusal.reason())?;
        }
        Ok(())
    }

    fn check_new(&self, id: &str) -> Result<(), Refusal> {
        match self.templates.get(id).is_some() {
            true => Err(Refusal::exception(format!(
                "The template {id:?} already exists."
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
    let parts = std::mem::take(&mut context.prepared.compiled);
    let state = &mut context.account().template;
    let id = text(request, "id").unwrap_or_default();
    match operation {
        "template_add" => {
            state.check_new(id)?;
            let template = Template::default().change(request, now, parts)?;
            let reply = template.show_changed(id);
            state.templates.insert(id.to_owned(), template);
            Ok(Reply::Data(reply))
        }
        "template_edit" => {
            let template = state.find(id)?.clone().change(request, now, parts)?;
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

fn search(state: &Templates, request: &Value) -> Result<Reply, Refusal> {
    let terms = few(request, "search_terms")?;
    let tags = set(request, "tags");
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
        tags.is_empty() || own.any(|tag| tags.contains(tag.as_str()))
    };
    let templates = state.templates.numbered();
    let mut templates: Vec<_> = templates
        .filter(|(id, template)| found(id, template) && tagged(template))
        .collect();
    templates.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    if descending(request, "sort_direction")? {
        templates.reverse();
    }
    let total = templates.len();
    let token = text(request, "continue_token");
    let templates = numbered(templates);
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
    /// Applies the fields of a request.
    fn change(
        mut self,
        request: &Value,
        now: SystemTime,
        parts: Option<Result<Parts, Refusal>>,
    ) -> Result<Self, Refusal> {
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
        self.updated = Some(now);
        self.parts
            .replace_with(parts.transpose()?.unwrap_or_default());
        Ok(self)
    }

    /// Writes the template as an item of a search.
    fn summary(&self, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "subject": self.subject,
            "tags": self.tags,
            // With whole seconds and without a time zone.
            "last_updated": clock::rfc3339(self.updated.unwrap_or(UNIX_EPOCH)).replace('T', " ").trim_end_matches('Z'),
        })
    }

    fn put_bodies(&self, reply: &mut Value) {
        reply["html_body"] = self.html_body.as_str().into();
        reply["text_body"] = self.text_body.as_str().into();
        reply["template_variables"] = self.variables.clone().into();
    }

    /// Writes the template for the replies of add and edit, which name its fields differently.
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
    use crate::world::Shared;
    use crate::world::tests::shared;

    fn render(shared: &Shared, id: &str, data: &Value) -> Result<Rendered, Refusal> {
        let mail = json!({ "template_id": id, "template_data": data });
        let orders = orders(shared.world().account(AccountId::MASTER), &mail);
        super::render(&Arc::new(mail), orders).remove(0)
    }

    fn template(text: &str) -> Value {
        json!({ "id": "welcome", "template_name": "Welcome", "subject": text, "html_body": text,
                "text_body": text })
    }

    #[test]
    fn template_is_rendered_with_the_mails_data() {
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
            for data in [&data, &data.to_string().into()] {
                let rendered = render(&shared, "welcome", data).unwrap();
                assert_eq!(rendered, expected, "{text}");
            }
        }
    }

    #[test]
    fn mail_whose_template_cannot_be_rendered_is_refused() {
        for (text, id, data, reason) in [
            (
                "x",
                "Welcome",
                json!({}),
                "The template \"Welcome\" does not exist",
            ),
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
            let refusal = render(&shared, id, &data).unwrap_err();
            assert!(refusal.reason().starts_with(reason), "{}", refusal.reason());
        }
        let shared = shared(|_| {});
        for broken in ["{{#if a}}", "{{ a", "{{/if}}"] {
            let refusal = call(&shared, "template_add", &template(broken)).unwrap_err();
            let reason = refusal.reason();
            assert!(
                reason.starts_with("The subject is not a valid template"),
                "{reason}"
            );
        }
    }
}
