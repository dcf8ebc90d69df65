import createClient from "openapi-fetch";
import type { paths } from "./schema";

const smtp2go = createClient<paths>({
  baseUrl: "https://api.smtp2go.com/v3",
  headers: { "X-Smtp2go-Api-Key": process.env.SMTP2GO_API_KEY },
});

async function send(): Promise<void> {
  const { data, error } = await smtp2go.POST("/email/send", {
    body: { sender: "billing@example.com", to: ["ana@example.net"], subject: "Invoice 7", text_body: "It is ready." },
  });
  if (!data) throw new Error(`not sent: ${JSON.stringify(error)}`);
  console.log(data.data.email_id);
}

void send();
