package brig.shim.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.containerd.linux.runc.CreateOptions;
import brig.proto.containerd.runc.Options;
import brig.sandbox.BrigException;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import org.junit.jupiter.api.Test;

class RequestsTest {
  private static Any options(String type, ByteString value) {
    return Any.newBuilder().setTypeUrl(type).setValue(value).build();
  }

  @Test
  void theKeyringIsChosenByEitherKindOfRuncsOptions() throws BrigException {
    ByteString current = Options.newBuilder().setNoNewKeyring(true).build().toByteString();
    ByteString older = CreateOptions.newBuilder().setNoNewKeyring(true).build().toByteString();
    assertThat(
            Requests.runcOptions(options("containerd.runc.v1.Options", current)).getNoNewKeyring())
        .isTrue();
    assertThat(
            Requests.runcOptions(options("containerd.linux.runc.CreateOptions", older))
                .getNoNewKeyring())
        .isTrue();
    assertThat(Requests.runcOptions(Any.getDefaultInstance()).getNoNewKeyring()).isFalse();
  }

  @Test
  void anUnknownTypeWithContentIsRefusedByName() throws BrigException {
    assertThat(Requests.runcOptions(options("foo.Options", ByteString.EMPTY)))
        .isEqualTo(Options.getDefaultInstance());
    assertThatThrownBy(
            () -> Requests.runcOptions(options("foo.Options", ByteString.copyFromUtf8("x"))))
        .hasMessageContaining("foo.Options");
  }

  @Test
  void bytesThatAreNoOptionsAreRefused() {
    ByteString broken = ByteString.copyFrom(new byte[] {(byte) 0xff});
    for (String type :
        new String[] {"containerd.runc.v1.Options", "containerd.linux.runc.CreateOptions"}) {
      assertThatThrownBy(() -> Requests.runcOptions(options(type, broken)))
          .hasMessageContaining(type);
    }
  }
}
