package brig.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * What a run of the harness is told from outside, by system properties.
 *
 * @param home the repository
 * @param prefix the installation whose {@code bin} containerd finds shims in ({@code brig.prefix})
 * @param runtime the runtime that containers are started with ({@code brig.runtime})
 * @param versions containerd versions to run against ({@code brig.containerd}, comma separated)
 */
public record Settings(Path home, Path prefix, String runtime, List<ContainerdVersion> versions) {

  public static final String BRIG = "io.containerd.brig.v2";
  public static final String RUNC = "io.containerd.runc.v2";
  public static final String CRUN = "io.containerd.brigcrun.v2";
  public static final String NULL = "io.containerd.brignull.v2";

  public static Settings fromProperties() {
    Path home = Path.of(System.getProperty("brig.home", enclosingRepository().toString()));
    return new Settings(
        home,
        Path.of(System.getProperty("brig.prefix", home.resolve("build/prefix").toString()))
            .toAbsolutePath(),
        System.getProperty("brig.runtime", BRIG),
        Arrays.stream(System.getProperty("brig.containerd", "1.6").split(","))
            .map(ContainerdVersion::of)
            .toList());
  }

  /** Whether the containers are Brig's: what only Brig promises is tested then. */
  public boolean isBrig() {
    return runtime.equals(BRIG);
  }

  /** Programs of a containerd version, as fetched. */
  public Path containerdPrograms(ContainerdVersion version) {
    Path programs = home.resolve("build/containerd").resolve(version.toString()).resolve("bin");
    if (!Files.isExecutable(programs.resolve("containerd"))) {
      throw new IllegalStateException(
          "containerd "
              + version
              + " is not in "
              + programs
              + ": run test-images/fetch-containerd "
              + version);
    }
    return programs;
  }

  /** An image's archive, as built. */
  public Path image(String name) {
    Path archive = home.resolve("build/images").resolve(name + ".tar");
    if (!Files.isRegularFile(archive)) {
      throw new IllegalStateException(
          archive + " is missing: run test-images/build-image, or programs/build for a program's");
    }
    return archive;
  }

  /** The probe, for what it does on the host. */
  public Path probe() {
    return home.resolve("build/images/brig-probe");
  }

  private static Path enclosingRepository() {
    Path here = Path.of("").toAbsolutePath();
    for (Path candidate = here; candidate != null; candidate = candidate.getParent()) {
      if (Files.isDirectory(candidate.resolve("native/proto"))) {
        return candidate;
      }
    }
    throw new IllegalStateException(here + " lies in no checkout: give -Dbrig.home");
  }
}
