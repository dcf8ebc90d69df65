import { defaults, emailSend } from "./smtp2go";

defaults.headers = { "X-Smtp2go-Api-Key": process.env.SMTP2GO_API_KEY! };

async function send(): Promise<void> {
  const sent = await emailSend({
    sender: "billing@example.com", to: ["ana@example.net"], subject: "Invoice 7", text_body: "It is ready.",
  });
  if (sent.status !== 200) throw new Error(`not sent: ${JSON.stringify(sent.data)}`);
  console.log(sent.data.data.email_id);
}

void send();
