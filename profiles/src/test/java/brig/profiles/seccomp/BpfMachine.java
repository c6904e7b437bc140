package brig.profiles.seccomp;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Runs classic BPF programs as the kernel does for seccomp, and refuses what it would refuse. */
final class BpfMachine {
  private final int[] codes;
  private final int[] ifTrue;
  private final int[] ifFalse;
  private final int[] operands;

  BpfMachine(byte[] program) {
    int count = program.length / 8;
    if (program.length % 8 != 0 || count == 0 || count > 4096) {
      throw new IllegalArgumentException("a program of " + program.length + " bytes");
    }
    codes = new int[count];
    ifTrue = new int[count];
    ifFalse = new int[count];
    operands = new int[count];
    ByteBuffer buffer = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      codes[i] = Short.toUnsignedInt(buffer.getShort());
      ifTrue[i] = Byte.toUnsignedInt(buffer.get());
      ifFalse[i] = Byte.toUnsignedInt(buffer.get());
      operands[i] = buffer.getInt();
    }
  }

  int size() {
    return codes.length;
  }

  int run(int arch, int number, long... args) {
    ByteBuffer data = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    data.putInt(number).putInt(arch).putLong(0);
    for (int i = 0; i < 6; i++) {
      data.putLong(i < args.length ? args[i] : 0);
    }
    int a = 0;
    int x = 0;
    int[] memory = new int[16];
    int pc = 0;
    while (true) {
      int k = operands[pc];
      int code = codes[pc];
      int at = pc++;
      switch (code) {
        case 0x20 -> a = load(data, k);
        case 0x00 -> a = k;
        case 0x01 -> x = k;
        case 0x60 -> a = memory[k];
        case 0x02 -> memory[k] = a;
        case 0x07 -> x = a;
        case 0x87 -> a = x;
        case 0x54 -> a &= k;
        case 0x05 -> pc += k;
        case 0x15 -> pc += a == k ? ifTrue[at] : ifFalse[at];
        case 0x25 -> pc += Integer.compareUnsigned(a, k) > 0 ? ifTrue[at] : ifFalse[at];
        case 0x35 -> pc += Integer.compareUnsigned(a, k) >= 0 ? ifTrue[at] : ifFalse[at];
        case 0x45 -> pc += (a & k) != 0 ? ifTrue[at] : ifFalse[at];
        case 0x06 -> {
          return k;
        }
        default -> throw new IllegalArgumentException("instruction " + at + " is " + code);
      }
    }
  }

  private static int load(ByteBuffer data, int offset) {
    if (offset % 4 != 0) {
      throw new IllegalArgumentException("unaligned load at " + offset);
    }
    return data.getInt(offset);
  }
}
