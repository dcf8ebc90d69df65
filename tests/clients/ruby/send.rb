require "openapi_client"

OpenapiClient.configure do |config|
  # This client always fills in both headers that may hold the key.
  config.access_token = config.api_key["X-Smtp2go-Api-Key"] = ENV.fetch("SMTP2GO_API_KEY")
end
mail = OpenapiClient::EmailSendRequest.new(
  sender: "billing@example.com", to: ["ana@example.net"], subject: "Invoice 7", text_body: "It is ready."
)
puts OpenapiClient::EmailApi.new.email_send(mail).data.email_id
