package brig.shim.relay;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.util.Set;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;

/**
 * Who may speak on the daemon's socket: the daemon's own user, and root.
 *
 * <p>The kernel's SO_PEERCRED decides. The JDK gives it as a {@link UserPrincipal} whose equality
 * is that of the user id, as the owner of a file is, so that two files whose owners are known serve
 * as the measure: {@code /proc/self}, the daemon's own, and {@code /proc/sys}, the kernel's root.
 * Where root has no id in the daemon's user namespace, only its own user is let in: all users
 * without an id look alike there.
 */
public final class Peers {
  private static final String OVERFLOW_UID = "/proc/sys/kernel/overflowuid";

  private final Set<UserPrincipal> allowed;

  private Peers(Set<UserPrincipal> allowed) {
    this.allowed = allowed;
  }

  /** Reads who this process is. */
  public static Peers ownUserAndRoot() throws IOException {
    UserPrincipal self = Files.getOwner(Path.of("/proc/self"));
    UserPrincipal root = Files.getOwner(Path.of("/proc/sys"));
    if (self.equals(root)) {
      return new Peers(Set.of(self));
    }
    int rootId = (Integer) Files.getAttribute(Path.of("/proc/sys"), "unix:uid");
    boolean unmapped =
        Files.readString(Path.of(OVERFLOW_UID)).strip().equals(Integer.toString(rootId));
    return new Peers(unmapped ? Set.of(self) : Set.of(self, root));
  }

  /** Whether the process that made this connection may speak. */
  public boolean mayOpen(SocketChannel socket) throws IOException {
    UnixDomainPrincipal peer = socket.getOption(ExtendedSocketOptions.SO_PEERCRED);
    return peer != null && mayOpen(peer.user());
  }

  /** Whether this user may speak. */
  public boolean mayOpen(UserPrincipal user) {
    return allowed.contains(user);
  }

  /** For the log: the name that the system knows the peer by. */
  static String nameOf(SocketChannel socket) throws IOException {
    UnixDomainPrincipal peer = socket.getOption(ExtendedSocketOptions.SO_PEERCRED);
    return peer == null ? "unknown" : peer.user().getName();
  }
}
