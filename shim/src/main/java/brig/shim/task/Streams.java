package brig.shim.task;

import brig.proto.keeper.Stdio;

/**
 * Where a process's input comes from and its output goes, as containerd gave it: FIFO paths or
 * URIs, empty for none.
 */
public record Streams(String stdin, String stdout, String stderr, boolean terminal) {
  Stdio.Builder toStdio(int ownerUid, int ownerGid) {
    return Stdio.newBuilder()
        .setTerminal(terminal)
        .setStdin(stdin)
        .setStdout(stdout)
        .setStderr(stderr)
        .setOwnerUid(ownerUid)
        .setOwnerGid(ownerGid);
  }
}
