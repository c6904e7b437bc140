package brig.testing.registry;

import java.nio.file.Path;

/** A registry on the port of HTTPS, until it is killed: for {@code test-images/client-suite}. */
public final class Main {

  private static final int HTTPS = 443;

  private Main() {}

  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 3) {
      System.err.println("usage: registry DIRECTORY KEYSTORE PASSWORD");
      System.exit(2);
    }
    try (Registry registry =
        Registry.start(
            Path.of(arguments[0]), Path.of(arguments[1]), arguments[2].toCharArray(), HTTPS)) {
      // Who started it waits for this line.
      System.out.println("serving on port " + registry.port());
      Thread.currentThread().join();
    }
  }
}
