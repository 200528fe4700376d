import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** GET through a proxy with Java's own TLS; the trust store comes by -Djavax.net.ssl.trustStore. Get PORT URL... */
public final class Get {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newBuilder()
        .proxy(ProxySelector.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]))))
        .build();
    for (int i = 1; i < arguments.length; i++) {
      HttpResponse<String> answer = client.send(
          HttpRequest.newBuilder(URI.create(arguments[i])).build(), HttpResponse.BodyHandlers.ofString());
      System.out.print(answer.statusCode() + " " + answer.version() + " " + answer.body());
    }
  }
}
