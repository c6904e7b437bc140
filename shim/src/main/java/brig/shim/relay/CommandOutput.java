package brig.shim.relay;

import brig.proto.keeper.FromCommand;
import brig.proto.keeper.Output;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The way back to a command line client: its two streams, then one exit code. */
public final class CommandOutput {
  private static final int PIECE = 1 << 20;
  private static final int STDOUT = 1;
  private static final int STDERR = 2;

  private final FrameChannel channel;

  CommandOutput(FrameChannel channel) {
    this.channel = channel;
  }

  public void out(String text) throws IOException {
    send(STDOUT, text);
  }

  public void err(String text) throws IOException {
    send(STDERR, text);
  }

  private void send(int stream, String text) throws IOException {
    ByteString bytes = ByteString.copyFrom(text, StandardCharsets.UTF_8);
    for (int from = 0; from < bytes.size(); from += PIECE) {
      ByteString piece = bytes.substring(from, Math.min(bytes.size(), from + PIECE));
      Output output = Output.newBuilder().setStream(stream).setData(piece).build();
      channel.write(FromCommand.newBuilder().setOutput(output).build());
    }
  }

  void exit(int code) throws IOException {
    channel.write(FromCommand.newBuilder().setExitCode(code).build());
  }
}
