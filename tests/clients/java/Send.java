import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.EmailApi;
import org.openapitools.client.model.EmailSendRequest;

public class Send {
    public static void main(String[] args) throws Exception {
        ApiClient client = new ApiClient();
        String key = System.getenv("SMTP2GO_API_KEY");
        client.setRequestInterceptor(request -> request.header("X-Smtp2go-Api-Key", key));
        EmailSendRequest mail = new EmailSendRequest()
                .sender("billing@example.com")
                .to(List.of("ana@example.net"))
                .subject("Invoice 7")
                .textBody("It is ready.");
        System.out.println(new EmailApi(client).emailSend(mail).getData().getEmailId());
    }
}
