//! The baseline: a minimal client with reqwest and serde. It shares one HTTP client and reads whole
//! files.

use std::error::Error;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub struct Mail {
    pub sender: String,
    pub to: Vec<String>,
    pub subject: String,
    pub html_body: String,
    pub text_body: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

#[derive(Serialize)]
pub struct Attachment {
    pub filename: String,
    pub mimetype: String,
    pub fileblob: String,
}

impl Attachment {
    pub fn from_path(path: &Path) -> std::io::Result<Self> {
        Ok(Self::from_bytes(&std::fs::read(path)?))
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            filename: "report.pdf".to_owned(),
            mimetype: "application/pdf".to_owned(),
            fileblob: STANDARD.encode(bytes),
        }
    }
}

#[derive(Deserialize)]
struct Reply {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    failed: u32,
    failures: Vec<String>,
    email_id: String,
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    key: String,
}

impl Client {
    pub fn new(base_url: String, key: String) -> reqwest::Result<Self> {
        #[cfg(feature = "ring")]
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            base_url,
            key,
        })
    }

    /// Sends a mail and returns its id.
    pub async fn send(&self, mail: &Mail) -> Result<String, Box<dyn Error>> {
        let reply: Reply = self
            .http
            .post(format!("{}/email/send", self.base_url))
            .header("X-Smtp2go-Api-Key", &self.key)
            .json(mail)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        if reply.data.failed > 0 {
            return Err(reply.data.failures.join(", ").into());
        }
        Ok(reply.data.email_id)
    }
}
