curl --fail-with-body --silent https://api.smtp2go.com/v3/email/send \
  -H "X-Smtp2go-Api-Key: $SMTP2GO_API_KEY" -H 'Content-Type: application/json' \
  -d '{"sender":"billing@example.com","to":["ana@example.net"],"subject":"Invoice 7","text_body":"It is ready."}'
