package main

import (
	"context"
	"fmt"
	"log"
	"os"

	smtp2go "example.com/acme/smtp2go"
)

func main() {
	client := smtp2go.NewAPIClient(smtp2go.NewConfiguration())
	ctx := context.WithValue(context.Background(), smtp2go.ContextAPIKeys, map[string]smtp2go.APIKey{
		"ApiKeyHeader": {Key: os.Getenv("SMTP2GO_API_KEY")},
	})
	mail := smtp2go.NewEmailSendRequest("billing@example.com", []string{"ana@example.net"})
	mail.SetSubject("Invoice 7")
	mail.SetTextBody("It is ready.")
	sent, _, err := client.EmailAPI.EmailSend(ctx).EmailSendRequest(*mail).Execute()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sent.Data.GetEmailId())
}
