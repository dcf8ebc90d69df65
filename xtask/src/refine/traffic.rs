//! Tables of operations and objects for the tests, as macros that call another macro. The expanded
//! code is not committed.
//!
//! In: the view. Out: the text of one module, with rows such as
//! `email_send "POST" "/email/send" email send [EmailSendRequest] [EmailSendRequest] [EmailSendResponse];`

use super::groups::{Takes, takes};
use crate::lower::{Role, View};
use crate::names::identifier;

/// Returns the module, without its first line.
pub(super) fn module(view: &View) -> String {
    let operations = view.operations.iter().map(|operation| {
        let taken = match takes(view, operation) {
            Takes::Request(request) => request,
            Takes::Nothing => "",
        };
        format!(
            "{} {:?} {:?} {} {} [{taken}] [{}] [{}];",
            identifier(&operation.id),
            operation.method,
            operation.path,
            identifier(&operation.group),
            identifier(&operation.action),
            operation.request.as_deref().unwrap_or_default(),
            operation.reply.as_deref().unwrap_or_default(),
        )
    });
    let objects = [Role::Request, Role::Reply].map(|role| {
        let objects = view.objects.iter().filter(|object| object.role == role);
        let names: Vec<_> = objects.map(|object| object.name.as_str()).collect();
        format!("[{}]", names.join("\n        "))
    });
    format!(
        "{}\n{}",
        table(
            "operations",
            "a row for each operation: its id, method and path; its group and the\n\
             /// name of the method there; the types of its parameter, of the request, and of the reply",
            operations
        ),
        table(
            "objects",
            "the objects that are sent, and those that are received",
            objects
        )
    )
}

/// Returns a macro that calls another one with the rows.
fn table(name: &str, what: &str, rows: impl IntoIterator<Item = String>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    format!(
        "/// Calls a macro with {what}.\nmacro_rules! {name} {{\n    ($each:ident) => {{ $each! {{\n        {}\n    }} }};\n}}\npub(crate) use {name};\n",
        rows.join("\n        ")
    )
}
