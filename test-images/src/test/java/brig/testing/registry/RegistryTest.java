package brig.testing.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class RegistryTest {

  private static final String PASSWORD = "registry";
  private static final String MANIFEST = "sha256:" + "a".repeat(64);
  private static final String LAYER = "sha256:" + "b".repeat(64);
  private static final String TYPE = "application/vnd.oci.image.index.v1+json";

  private final Path directory;
  private final Registry registry;
  private final HttpClient client;

  RegistryTest(@TempDir Path directory)
      throws IOException, InterruptedException, GeneralSecurityException {
    this.directory = directory;
    Path keys = directory.resolve("keys");
    makeKeys(keys);
    Path served = Files.createDirectory(directory.resolve("served"));
    registry = Registry.start(served, keys, PASSWORD.toCharArray(), 0);
    client = HttpClient.newBuilder().sslContext(trusting(keys)).build();
  }

  @BeforeEach
  void put() throws IOException {
    Path served = directory.resolve("served");
    Files.createDirectories(served.resolve("blobs"));
    Files.createDirectories(served.resolve("localhost/some/image"));
    Files.writeString(served.resolve("blobs").resolve(MANIFEST), manifest());
    Files.writeString(served.resolve("blobs").resolve(LAYER), "layer");
    Files.writeString(served.resolve("localhost/some/image/1"), MANIFEST);
    Files.writeString(directory.resolve("secret"), "secret");
  }

  @AfterEach
  void stop() {
    client.close();
    registry.close();
  }

  @Test
  void aTagLeadsToItsManifestWithTypeAndDigest() throws Exception {
    HttpResponse<String> answer = ask("GET", "/v2/some/image/manifests/1");

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(manifest());
    assertThat(answer.headers().firstValue("Content-Type")).contains(TYPE);
    assertThat(answer.headers().firstValue("Docker-Content-Digest")).contains(MANIFEST);
  }

  @Test
  void aHeadTellsTheLengthAndSendsNothing() throws Exception {
    HttpResponse<String> answer = ask("HEAD", "/v2/some/image/manifests/" + MANIFEST);

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body()).isEmpty();
    assertThat(answer.headers().firstValueAsLong("Content-Length")).hasValue(manifest().length());
  }

  @Test
  void aBlobIsServedByItsDigest() throws Exception {
    assertThat(ask("GET", "/v2/some/image/blobs/" + LAYER).body()).isEqualTo("layer");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/v2/some/image/manifests/2",
        "/v2/other/manifests/1",
        "/v2/some/image/blobs/1",
        "/v2/some/../../../secret/manifests/secret",
        "/v2/some%2f..%2f..%2f../manifests/secret",
        "/secret",
      })
  void whatIsNoObjectOfItsIsNotFound(String path) throws Exception {
    assertThat(ask("GET", path).statusCode()).isEqualTo(404);
  }

  @Test
  void nothingCanBePushed() throws Exception {
    assertThat(ask("PUT", "/v2/some/image/manifests/1").statusCode()).isEqualTo(405);
  }

  private static String manifest() {
    return "{\"schemaVersion\":2,\"mediaType\":\"" + TYPE + "\",\"manifests\":[]}";
  }

  private HttpResponse<String> ask(String method, String path)
      throws IOException, InterruptedException {
    URI address = URI.create("https://localhost:" + registry.port() + path);
    return client.send(
        HttpRequest.newBuilder(address).method(method, HttpRequest.BodyPublishers.noBody()).build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private static void makeKeys(Path keys) throws IOException, InterruptedException {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin/keytool").toString(),
            "-genkeypair",
            "-keystore",
            keys.toString(),
            "-storepass",
            PASSWORD,
            "-alias",
            "registry",
            "-keyalg",
            "EC",
            "-dname",
            "CN=registry",
            "-ext",
            "san=dns:localhost");
    Process made = new ProcessBuilder(command).redirectErrorStream(true).start();
    String told = new String(made.getInputStream().readAllBytes());
    assertThat(made.waitFor()).as(told).isZero();
  }

  private static SSLContext trusting(Path keys) throws IOException, GeneralSecurityException {
    KeyStore own = KeyStore.getInstance(keys.toFile(), PASSWORD.toCharArray());
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    trusted.setCertificateEntry("registry", own.getCertificate("registry"));
    TrustManagerFactory managers =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    managers.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, managers.getTrustManagers(), null);
    return context;
  }
}
