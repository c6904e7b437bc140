package brig.testing;

/**
 * The images that {@code test-images/build-image} makes, and, by {@link #of}, those of {@code
 * test-images/programs}.
 */
public final class Images {

  public static final String BUSYBOX = of("busybox");
  public static final String PAUSE = of("pause");

  private Images() {}

  /** The reference of the image in {@code NAME.tar}. */
  public static String of(String name) {
    return "brig.test/" + name + ":1";
  }
}
