package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class SealTest {
  private static byte[] sealed(byte[] bytes) {
    byte[] seal = Seal.of(bytes, bytes.length);
    return ByteBuffer.allocate(bytes.length + seal.length).put(bytes).put(seal).array();
  }

  @Property(tries = 200)
  void whatIsSealedOpensAndNothingElseDoes(
      @ForAll @Size(max = 300) byte[] bytes,
      @ForAll @IntRange(max = 309) int place,
      @ForAll @IntRange(min = 1, max = 255) int flip)
      throws IOException {
    byte[] file = sealed(bytes);
    assertThat(Seal.open(file)).isEqualTo(bytes);
    int at = place % file.length;
    byte[] cut = Arrays.copyOf(file, at);
    assertThatThrownBy(() -> Seal.open(cut)).hasMessage("it is torn or was changed");
    byte[] changed = file.clone();
    changed[at] ^= (byte) flip;
    assertThatThrownBy(() -> Seal.open(changed)).hasMessage("it is torn or was changed");
  }

  /** A vector of the hash's authors: "foobar" is 85944171f73967e8. */
  @Test
  void theSealIsTheHashOfTheContract() {
    byte[] bytes = {'f', 'o', 'o', 'b', 'a', 'r'};
    assertThat(ByteBuffer.wrap(Seal.of(bytes, bytes.length)).getLong(2))
        .isEqualTo(0x8594_4171_f739_67e8L);
  }
}
