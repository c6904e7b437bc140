package brig.shim.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class FrameDecoderTest {
  private final List<ByteString> frames = new ArrayList<>();

  @Property
  void framesComeOutAsTheyWentInHoweverTheStreamIsCut(
      @ForAll @Size(max = 12) List<byte[]> bodies, @ForAll long seed) throws FrameException {
    List<ByteString> out = new ArrayList<>();
    FrameDecoder decoder = new FrameDecoder(out::add);
    byte[] stream = stream(bodies);
    Random random = new Random(seed);
    int at = 0;
    while (at < stream.length) {
      int count = 1 + random.nextInt(stream.length - at);
      decoder.feed(ByteBuffer.wrap(stream, at, count));
      at += count;
    }
    assertThat(out).isEqualTo(bodies.stream().map(ByteString::copyFrom).toList());
    assertThat(decoder.atBoundary()).isTrue();
  }

  @Property
  void anyBytesAreFramesOrARefusalAndNeverAnythingElse(@ForAll byte[] bytes) {
    FrameDecoder decoder = new FrameDecoder(frame -> assertThat(frame.size()).isNotNegative());
    try {
      decoder.feed(ByteBuffer.wrap(bytes));
    } catch (FrameException e) {
      assertThat(e).hasMessageContaining("more than");
    }
  }

  @Test
  void aLengthBeyondTheLimitIsRefusedBeforeItsBodyComes() {
    FrameDecoder decoder = new FrameDecoder(frames::add);
    ByteBuffer header = ByteBuffer.allocate(4).putInt(FrameDecoder.MAX_FRAME + 1).flip();
    assertThatThrownBy(() -> decoder.feed(header))
        .isInstanceOf(FrameException.class)
        .hasMessage("frame of 16777217 bytes, more than 16777216");
  }

  @Test
  void aLengthWithItsHighestBitSetIsNoSmallNumber() {
    FrameDecoder decoder = new FrameDecoder(frames::add);
    ByteBuffer header = ByteBuffer.allocate(4).putInt(-1).flip();
    assertThatThrownBy(() -> decoder.feed(header)).hasMessageContaining("4294967295 bytes");
  }

  @Test
  void aStreamThatEndsWithinAFrameIsNotAtABoundary() throws FrameException {
    FrameDecoder decoder = new FrameDecoder(frames::add);
    decoder.feed(ByteBuffer.wrap(new byte[] {0, 0, 0, 2, 1}));
    assertThat(decoder.atBoundary()).isFalse();
    assertThat(frames).isEmpty();
  }

  @Test
  void aFrameOfTheGreatestLengthPasses() throws FrameException {
    FrameDecoder decoder = new FrameDecoder(frames::add);
    decoder.feed(ByteBuffer.allocate(4).putInt(FrameDecoder.MAX_FRAME).flip());
    byte[] piece = new byte[1 << 20];
    for (int i = 0; i < 16; i++) {
      decoder.feed(ByteBuffer.wrap(piece));
    }
    assertThat(frames).singleElement().matches(frame -> frame.size() == FrameDecoder.MAX_FRAME);
  }

  private static byte[] stream(List<byte[]> bodies) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] body : bodies) {
      out.writeBytes(ByteBuffer.allocate(4).putInt(body.length).array());
      out.writeBytes(body);
    }
    return out.toByteArray();
  }
}
