package brig.profiles.seccomp;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Calls that i386 also makes through {@code socketcall} and {@code ipc}, whose first argument is
 * the operation.
 *
 * @param through name of the multiplexer
 * @param operation SYS_* of linux/net.h, or the codes of linux/ipc.h
 */
record Multiplexer(String through, int operation) {
  private static final List<String> SOCKET =
      List.of(
          "socket",
          "bind",
          "connect",
          "listen",
          "accept",
          "getsockname",
          "getpeername",
          "socketpair",
          "send",
          "recv",
          "sendto",
          "recvfrom",
          "shutdown",
          "setsockopt",
          "getsockopt",
          "sendmsg",
          "recvmsg",
          "accept4",
          "recvmmsg",
          "sendmmsg");

  private static final Map<String, Multiplexer> BY_NAME = byName();

  static Optional<Multiplexer> of(String name) {
    return Optional.ofNullable(BY_NAME.get(name));
  }

  private static Map<String, Multiplexer> byName() {
    Map<String, Multiplexer> all = new HashMap<>();
    for (int i = 0; i < SOCKET.size(); i++) {
      all.put(SOCKET.get(i), new Multiplexer("socketcall", i + 1));
    }
    all.put("semop", new Multiplexer("ipc", 1));
    all.put("semget", new Multiplexer("ipc", 2));
    all.put("semctl", new Multiplexer("ipc", 3));
    all.put("semtimedop", new Multiplexer("ipc", 4));
    all.put("msgsnd", new Multiplexer("ipc", 11));
    all.put("msgrcv", new Multiplexer("ipc", 12));
    all.put("msgget", new Multiplexer("ipc", 13));
    all.put("msgctl", new Multiplexer("ipc", 14));
    all.put("shmat", new Multiplexer("ipc", 21));
    all.put("shmdt", new Multiplexer("ipc", 22));
    all.put("shmget", new Multiplexer("ipc", 23));
    all.put("shmctl", new Multiplexer("ipc", 24));
    return Map.copyOf(all);
  }
}
