// Sends with the official client for Node: its base URL is a member of the client.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const SMTP2GOApi = require("smtp2go-nodejs").default;

const api = SMTP2GOApi(process.env.SMTP2GO_API_KEY);
const client = api.client();
client.apiUrl = process.env.SMTP2GO_BASE_URL + "/";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "clients-"));
const file = path.join(folder, "report.txt");
fs.writeFileSync(file, "All is well.");

const send = (subject) =>
    client.consume(
        api
            .mail()
            .from({ email: "noreply@example.com", name: "Acme" })
            .to({ email: "jane@example.net", name: "Jane" })
            .subject(subject)
            .html("<p>Hello</p>")
            .attach(file),
    );

(async () => {
    try {
        const sent = await send("From Node");
        assert.strictEqual(sent.data.succeeded, 1, JSON.stringify(sent));
        assert.ok(sent.data.email_id);

        const failed = await send("From Node, in vain");
        assert.strictEqual(failed.data.failed, 1, JSON.stringify(failed));
        assert.deepStrictEqual(failed.data.failures, ["550 no such mailbox"]);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
})().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
