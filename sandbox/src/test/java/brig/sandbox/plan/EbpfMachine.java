package brig.sandbox.plan;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Runs the few eBPF instructions that device programs consist of, as the kernel would. */
final class EbpfMachine {
  private final byte[] program;

  EbpfMachine(byte[] program) {
    if (program.length == 0 || program.length % 8 != 0) {
      throw new IllegalArgumentException(program.length + " bytes");
    }
    this.program = program.clone();
  }

  /** The answer to one access of a device. */
  boolean permits(int accessType, int major, int minor) {
    ByteBuffer code = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer context = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    context.putInt(accessType).putInt(major).putInt(minor);
    long[] registers = new long[11];
    boolean[] set = new boolean[11];
    set[1] = true;
    set[10] = true;
    int pc = 0;
    while (true) {
      int at = pc++ * 8;
      int opcode = Byte.toUnsignedInt(code.get(at));
      int registersByte = Byte.toUnsignedInt(code.get(at + 1));
      int destination = registersByte & 0xf;
      int source = registersByte >> 4;
      int offset = code.getShort(at + 2);
      int immediate = code.getInt(at + 4);
      switch (opcode) {
        case 0x61 -> {
          if (source != 1) {
            throw new IllegalStateException("load from register " + source);
          }
          registers[destination] = Integer.toUnsignedLong(context.getInt(offset));
          set[destination] = true;
        }
        case 0xbf -> {
          require(set, source);
          registers[destination] = registers[source];
          set[destination] = true;
        }
        case 0xb7 -> {
          registers[destination] = immediate;
          set[destination] = true;
        }
        case 0x54 -> {
          require(set, destination);
          registers[destination] = Integer.toUnsignedLong((int) registers[destination] & immediate);
        }
        case 0x74 -> {
          require(set, destination);
          registers[destination] =
              Integer.toUnsignedLong((int) registers[destination] >>> immediate);
        }
        case 0x05 -> pc += offset;
        case 0x55 -> {
          require(set, destination);
          pc += registers[destination] != immediate ? offset : 0;
        }
        case 0x45 -> {
          require(set, destination);
          pc += (registers[destination] & immediate) != 0 ? offset : 0;
        }
        case 0x95 -> {
          require(set, 0);
          return registers[0] != 0;
        }
        default -> throw new IllegalStateException("instruction " + opcode);
      }
    }
  }

  /** The verifier refuses a read of a register that nothing wrote. */
  private static void require(boolean[] set, int register) {
    if (!set[register]) {
      throw new IllegalStateException("register " + register + " is read before it is written");
    }
  }
}
