import { emailSend } from "./smtp2go";
import { client } from "./smtp2go/client.gen";

client.setConfig({ headers: { "X-Smtp2go-Api-Key": process.env.SMTP2GO_API_KEY } });

async function send(): Promise<void> {
  const { data } = await emailSend({
    body: { sender: "billing@example.com", to: ["ana@example.net"], subject: "Invoice 7", text_body: "It is ready." },
    throwOnError: true,
  });
  console.log(data.data.email_id);
}

void send();
