//! The list of templates, and the page of a template with its source and a rendering of it.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::content::Content;
use super::frame;
use super::index::cut;
use super::items::{self, Item, ItemRow, Kind, Rows, account_name, joined};
use super::page::{self, Section, shorten};
use super::request::{Fields, query, segment};
use super::view::{Time, pretty};
use crate::account::AccountId;
use crate::operations::template::{self, Order, Rendered, Template};
use crate::world::{Shared, World};

const KIND: Kind = Kind {
    section: Section::Templates,
    name: "Templates",
    one: "template",
    path: "/_inbox/templates",
    searched: "Id, name, subject or tag",
    hint: "Templates that your application adds with /template/add appear here.",
};

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let rows = rows_of(&shared.world(), &fields);
    items::respond(&shared, &KIND, &fields, rows, None)
}

pub(super) async fn template(
    State(shared): State<Arc<Shared>>,
    Path((account, id)): Path<(usize, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let (rows, found) = {
        let world = shared.world();
        let name = items::find_account(&world, account)
            .map(|found| account_name(AccountId(account), found));
        (
            rows_of(&world, &fields),
            find(&world, account, &id).zip(name),
        )
    };
    match found {
        Some(((template, example), name)) => {
            let item = item_of(account, &id, &template, example, name);
            items::respond(&shared, &KIND, &fields, rows, Some(item))
        }
        None => page::missing(&shared, KIND.section, KIND.one, false),
    }
}

/// Serves the rendered HTML of a template for the frame on its page.
pub(super) async fn html(
    State(shared): State<Arc<Shared>>,
    Path((account, id)): Path<(usize, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    // A link in a mail must not get the page's origin.
    let measured = fields.get("measured") == "1" && shared.is_page_token(fields.get("token"));
    let found = find(&shared.world(), account, &id);
    let Some((_, example)) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let html = example.render().map(|rendered| rendered.html_body);
    let html = html.unwrap_or_default();
    let content = Content {
        html: Some(&html),
        ..Content::default()
    };
    frame::closed(&content, measured)
}

/// A mail with a template and its variables as the data.
struct Example {
    request: Arc<Value>,
    orders: Vec<Order>,
}

impl Example {
    fn render(self) -> Result<Rendered, String> {
        let rendered = template::render(&self.request, self.orders).pop();
        let rendered = rendered.ok_or_else(String::new)?;
        rendered.map_err(|refusal| refusal.reason())
    }
}

fn find(world: &World, account: usize, id: &str) -> Option<(Template, Example)> {
    let account = items::find_account(world, account)?;
    let template = account.template.templates.get(id)?;
    let request = json!({ "template_id": id, "template_data": template.variables });
    let example = Example {
        orders: template::orders(account, &request),
        request: Arc::new(request),
    };
    Some((template.clone(), example))
}

fn rows_of(world: &World, fields: &Fields) -> Rows {
    let all = items::accounts(world).flat_map(|(account_id, account)| {
        let templates = account.template.templates.numbered();
        templates.map(move |(id, template)| (account_id, account, id, template))
    });
    let search = fields.get("q");
    Rows::take(
        fields,
        all,
        |(_, _, id, template)| {
            let mut texts = vec![id.as_str(), &template.name, &template.subject];
            texts.extend(template.tags.iter().map(String::as_str));
            texts.join("\n")
        },
        |(account_id, account, id, template)| ItemRow {
            key: format!("{}-{}", account_id.0, segment(id)),
            href: format!("{}{}", path(account_id.0, id), query("q", search)),
            title: cut(&template.name),
            subject: cut(&template.subject),
            note: joined(&[
                id,
                &cut(&template.tags.join(", ")),
                &account_name(account_id, account),
            ]),
            badge: String::new(),
            tone: "calm",
            time: template.updated.map(Time::new),
        },
    )
}

fn path(account: usize, id: &str) -> String {
    format!("{}/{account}/{}", KIND.path, segment(id))
}

fn item_of(account: usize, id: &str, template: &Template, example: Example, name: String) -> Item {
    let short = |text: &str| shorten(text).0.to_owned();
    let rendered = example.render();
    let (subject, text, error) = match rendered {
        Ok(rendered) => (rendered.subject, rendered.text_body, String::new()),
        Err(error) => (String::new(), String::new(), error),
    };
    let facts = [
        ("Template id", id.to_owned()),
        ("Account", name),
        ("Subject", short(&template.subject)),
        ("Rendered subject", short(&subject)),
        ("Tags", short(&template.tags.join(", "))),
        (
            "Updated",
            template
                .updated
                .map_or(String::new(), |time| Time::new(time).text),
        ),
    ];
    let variables = match template.variables.is_empty() {
        true => String::new(),
        false => pretty(&Value::Object(template.variables.clone())),
    };
    let texts = [
        ("Rendered text", text.as_str()),
        ("Variables", &variables),
        ("HTML source", &template.html_body),
        ("Text source", &template.text_body),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    Item {
        key: format!("{account}-{}", segment(id)),
        title: short(&template.name),
        facts: facts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .collect(),
        frame: match error.is_empty() && !template.html_body.is_empty() {
            true => format!("{}/html", path(account, id)),
            false => String::new(),
        },
        error: short(&error),
        texts: texts.map(|(name, text)| (name, short(text))).collect(),
        ..Item::default()
    }
}
