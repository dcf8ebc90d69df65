//! The program `smtp2go-outbox`.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use smtp2go_outbox::State;
use tokio::time::sleep;

use crate::support::{Fixture, empty_fixtures, idle, mail, sandbox};

fn command(url: &str, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smtp2go-outbox"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .env("DATABASE_URL", url)
        .stdin(Stdio::null());
    command
}

fn run(url: &str, arguments: &str) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(url, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test]
async fn program_runs_and_operates_an_outbox() {
    for Fixture { outbox, url, .. } in &empty_fixtures().await {
        let (code, _, said) = run(url, "health");
        assert_eq!(
            (code, said.as_str()),
            (
                1,
                "error: table smtp2go_outbox_migrations is missing: run `smtp2go-outbox migrate`\n"
            )
        );
        assert_eq!(run(url, "migrate"), (0, String::new(), String::new()));
        for key in ["1", "2", "3"] {
            outbox.put(mail(key)).await.unwrap();
        }
        for (arguments, code, out, said) in [
            ("hold 1", 0, "", ""),
            ("hold 1", 1, "", "error: 1 is held: nothing was changed\n"),
            ("cancel 4", 1, "", "error: 4: no such key\n"),
            ("cancel 2", 0, "", ""),
            ("list --state held", 0, "1\theld\t0\theld\t-\n", ""),
            (
                "list --state cancelled",
                0,
                "2\tcancelled\t0\tcancelled\t-\n",
                "",
            ),
            (
                "list --state odd",
                2,
                "",
                "error: invalid value 'odd' for '--state <STATE>': unknown state \"odd\": use one of \
                 queued, sending, unknown, held, sent, delivered, bounced, complained, rejected, \
                 cancelled; see --help\n",
            ),
            (
                "look-up 1",
                1,
                "",
                "error: 1 is held: nothing was changed\n",
            ),
            ("retry 1", 0, "", ""),
            ("hold 3", 0, "", ""),
            ("retry --state held", 0, "1 mails queued\n", ""),
            ("purge --older-than 1d", 0, "0 rows deleted\n", ""),
            ("purge --older-than 0s", 0, "1 rows deleted\n", ""),
            (
                "purge --older-than 1y",
                2,
                "",
                "error: invalid value '1y' for '--older-than <OLDER_THAN>': not a duration such as \
                 90s, 15m, 12h or 30d; see --help\n",
            ),
            ("run", 1, "", "error: SMTP2GO_API_KEY: not set\n"),
        ] {
            let ended = run(url, arguments);
            assert_eq!(
                ended,
                (code, out.to_owned(), said.to_owned()),
                "{arguments}"
            );
        }
        let (code, shown, _) = run(url, "show 3");
        assert_eq!(code, 0);
        assert!(
            shown.starts_with(
                "key: 3\nstate: queued\nreason: retried\nsender: Shop <shop@example.com>\n"
            ),
            "{shown}"
        );
        let (sandbox, _client) = sandbox(|builder| builder).await;
        let mut worker = command(url, "run --concurrency 2")
            .env("SMTP2GO_API_KEY", sandbox.key())
            .env("SMTP2GO_BASE_URL", sandbox.base_url())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        idle(outbox).await;
        let id = worker.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.unwrap().success());
        while worker.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5)).await;
        }
        let Output { status, stderr, .. } = worker.wait_with_output().unwrap();
        assert!(status.success());
        let log = String::from_utf8(stderr).unwrap();
        let sent = log.lines().filter(|line| line.contains(" to=\"sent\""));
        assert_eq!(sent.count(), 2, "{log}");
        assert_eq!(sandbox.mails().len(), 2);
        assert_eq!(outbox.counts().await.unwrap(), [(State::Sent, 2)]);
        assert_eq!(run(url, "counts").1, "sent\t2\n");
        let (code, out, said) = run(url, "health");
        assert_eq!((code, said.as_str()), (0, ""));
        assert!(out.starts_with("oldest due: 0 s\n"), "{out}");
        assert!(
            out.ends_with("failed look-ups: 0\nheld: 0\nrejected: 0\n"),
            "{out}"
        );
        let erased = run(url, "erase jane@example.net");
        assert_eq!(erased, (0, "2 mails erased\n".to_owned(), String::new()));
    }
}

#[test]
fn wrong_database_url_is_a_one_line_error_without_the_password() {
    for (url, said) in [
        (
            "mysql://root:hidden@db.example.com/shop",
            "error: database URL has the scheme \"mysql\": use postgres://… or sqlite:PATH\n",
        ),
        (
            "",
            "error: no database: set DATABASE_URL or --database-url\n",
        ),
        (
            "sqlite::memory:",
            "error: an SQLite database in memory loses its mails: use sqlite:PATH\n",
        ),
        (
            "postgres://shop:hidden@127.0.0.1:9/shop",
            "error: database: error communicating with database: Connection refused (os error 111)\n",
        ),
    ] {
        let ended = run(url, "migrate");
        assert_eq!(ended, (1, String::new(), said.to_owned()));
    }
}
