//! Applications in Python and SQL insert rows, and the program `smtp2go-outbox` sends them. The
//! test compares the tables with the inbox, mail by mail.

#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/programs.rs"]
mod programs;

use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::Cluster;
use programs::{agreement, settled, worker};
use smtp2go_outbox::Outbox;
use smtp2go_sandbox::{Fault, Sandbox};
use sqlx::PgPool;

/// Environment variable with the path of a Python that has psycopg. Without it, the test uses
/// `python3`, and is skipped if that has no psycopg.
const PYTHON: &str = "SMTP2GO_OUTBOX_PYTHON";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_inserted_by_python_and_sql_are_sent_once() {
    let Some(python) = python() else {
        println!("skipped: psycopg is not installed");
        return;
    };
    let Some(cluster) = Cluster::start(false) else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let database = cluster.database();
    let pool = PgPool::connect(&database).await.unwrap();
    Outbox::postgres(pool.clone()).migrate().await.unwrap();
    // The application may only insert mails.
    let roles = concat!(
        include_str!("../examples/roles.sql"),
        "GRANT CREATE ON SCHEMA public TO shop;"
    );
    sqlx::raw_sql(roles).execute(&pool).await.unwrap();
    let [application, mailer] =
        ["//shop@", "//mailer@"].map(|role| database.replace("//postgres@", role));
    assert!(application != database && mailer != database);

    let lost = |nth, sent| Fault::reset().on("email_send").nth(nth).carried_out(sent);
    let sandbox = Sandbox::builder().strict(true);
    let sandbox = sandbox.fault(lost(3, true)).fault(lost(5, false));
    let sandbox = sandbox.start().await.unwrap();
    let mut worker = worker(&mailer, &sandbox);

    let mut program = Command::new(python);
    program.arg(example("orders.py"));
    program.env("DATABASE_URL", &application);
    assert_eq!(
        output(&mut program),
        "order 1 again: False\norder 31 in the same transaction: True\n\
         order 32: True\norder 32: rolled back\n"
    );
    let mut psql = Command::new(cluster.binaries().join("psql"));
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        "--file",
    ]);
    psql.arg(example("order.sql")).arg(&application);
    assert_eq!(output(&mut psql), "");

    settled(&database).await;
    worker.kill().await.unwrap();
    let orders = "SELECT 'order-' || id || '/confirmation', email FROM orders";
    assert_eq!(agreement(&database, &sandbox, orders).await, 32);
}

fn example(name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("examples").join(name)
}

fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON) {
        return Some(python.into());
    }
    let found = Command::new("python3")
        .args(["-c", "import psycopg"])
        .output();
    found
        .is_ok_and(|output| output.status.success())
        .then(|| "python3".into())
}

fn output(program: &mut Command) -> String {
    let output = program.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
