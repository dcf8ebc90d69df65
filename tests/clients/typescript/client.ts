// Sends a mail, searches the activity and reads an error with the client that is made of the spec.
// Base URL and key come from the environment, as SMTP2GO_BASE_URL and SMTP2GO_API_KEY.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

const { SMTP2GO_BASE_URL: baseUrl, SMTP2GO_API_KEY: key } = process.env;
assert(baseUrl && key, "SMTP2GO_BASE_URL and SMTP2GO_API_KEY are needed");

const connect = (key: string) =>
  createClient<paths>({ baseUrl, headers: { "X-Smtp2go-Api-Key": key } });
const smtp2go = connect(key);

async function sendsMail(): Promise<void> {
  const { data, error, response } = await smtp2go.POST("/email/send", {
    body: {
      sender: "Acme Billing <billing@example.com>",
      to: ["Ana Reyes <ana@example.net>"],
      subject: "Invoice 7",
      text_body: "Your invoice is ready.",
    },
  });
  assert.equal(response.status, 200, JSON.stringify(error));
  const sent: components["schemas"]["EmailSendResponse"] = data!;
  assert.ok(sent.request_id);
  assert.equal(sent.data.failed, 0);
  assert.ok(sent.data.email_id);
}

async function searchesActivity(): Promise<void> {
  const { data, error } = await smtp2go.POST("/activity/search", {
    body: { event_types: ["delivered"], limit: 10 },
  });
  assert.equal(error, undefined);
  assert.ok(Array.isArray(data!.data.events));
}

async function readsErrors(): Promise<void> {
  const refused = await smtp2go.POST("/email/send", {
    // @ts-expect-error The sender is missing, and the compiler says so.
    body: { to: ["ana@example.net"], subject: "Invoice 7", text_body: "Ready." },
  });
  assert.equal(refused.response.status, 400);
  const why: components["schemas"]["ErrorResponse"] = refused.error!;
  assert.ok(why.data?.error_code, JSON.stringify(why));
  assert.equal(why.data?.field_validation_errors?.fieldname, "sender");

  const unknown = await connect("api-00000000000000000000000000000000").POST("/stats/email_cycle", {
    body: {},
  });
  assert.equal(unknown.response.status, 401);
  assert.ok(unknown.error!.request_id);
}

async function main(): Promise<void> {
  for (const check of [sendsMail, searchesActivity, readsErrors]) {
    await check();
    console.log(`ok ${check.name}`);
  }
}

void main();
