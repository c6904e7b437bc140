package brig.testing;

/** The images that {@code test-images/build-image} makes. */
public final class Images {

  public static final String BUSYBOX = "brig.test/busybox:1";
  public static final String PAUSE = "brig.test/pause:1";

  private Images() {}
}
