package brig.shim.daemon;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds gRPC's network library, which an installation keeps in a directory {@code grpc} beside the
 * daemon's own jar and off its class path: the JVM opens and indexes every jar of the class path,
 * whether or not anything in it is ever used.
 *
 * <p>The one package that uses the library is loaded along with it; all else comes from the class
 * path.
 */
final class GrpcLoader extends URLClassLoader {
  private static final String PACKAGE = "brig.shim.grpc.";

  private GrpcLoader(List<URL> jars, ClassLoader parent) {
    super(jars.toArray(URL[]::new), parent);
  }

  /** For this program; its own loader where the library is on its class path. */
  static ClassLoader here() throws IOException {
    ClassLoader own = GrpcLoader.class.getClassLoader();
    CodeSource source = GrpcLoader.class.getProtectionDomain().getCodeSource();
    if (source == null) {
      return own;
    }
    Path jar;
    try {
      jar = Path.of(source.getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IOException("find the daemon's jar: " + e.getMessage(), e);
    }
    Path library = jar.resolveSibling("grpc");
    return Files.isRegularFile(jar) && Files.isDirectory(library)
        ? new GrpcLoader(jars(jar, library), own)
        : own;
  }

  private static List<URL> jars(Path own, Path library) throws IOException {
    List<URL> jars = new ArrayList<>();
    jars.add(url(own));
    try (DirectoryStream<Path> files = Files.newDirectoryStream(library, "*.jar")) {
      for (Path file : files) {
        jars.add(url(file));
      }
    }
    return jars;
  }

  private static URL url(Path file) throws MalformedURLException {
    return file.toUri().toURL();
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (!name.startsWith(PACKAGE)) {
      return super.loadClass(name, resolve);
    }
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      return loaded == null ? findClass(name) : loaded;
    }
  }
}
