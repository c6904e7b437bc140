package brig.profiles.seccomp;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Classic BPF, instruction by instruction; codes are those of linux/bpf_common.h. Jumps are
 * relative to the next instruction.
 */
final class Assembler {
  /** BPF_MAXINSNS of linux/bpf_common.h. */
  static final int MAX_INSTRUCTIONS = 4096;

  static final int MAX_JUMP = 255;

  static final int LD_W_ABS = 0x20;
  static final int ALU_AND_K = 0x54;
  static final int JA = 0x05;
  static final int JEQ_K = 0x15;
  static final int JGT_K = 0x25;
  static final int JGE_K = 0x35;
  static final int RET_K = 0x06;

  /** Offsets in struct seccomp_data (linux/seccomp.h). */
  static final int NR = 0;

  static final int ARCH = 4;
  private static final int ARGS = 16;

  record Instruction(int code, int jt, int jf, int k) {}

  private final List<Instruction> instructions = new ArrayList<>();

  /** Offset of the low word of an argument on a little-endian machine. */
  static int low(int argument) {
    return ARGS + 8 * argument;
  }

  static int high(int argument) {
    return low(argument) + 4;
  }

  int size() {
    return instructions.size();
  }

  void load(int offset) {
    instructions.add(new Instruction(LD_W_ABS, 0, 0, offset));
  }

  void and(int mask) {
    instructions.add(new Instruction(ALU_AND_K, 0, 0, mask));
  }

  void jump(int code, int k, int ifTrue, int ifFalse) {
    if (ifTrue < 0 || ifTrue > MAX_JUMP || ifFalse < 0 || ifFalse > MAX_JUMP) {
      throw new IllegalStateException("jump of " + ifTrue + "/" + ifFalse + " instructions");
    }
    instructions.add(new Instruction(code, ifTrue, ifFalse, k));
  }

  void always(int distance) {
    instructions.add(new Instruction(JA, 0, 0, distance));
  }

  void answer(int value) {
    instructions.add(new Instruction(RET_K, 0, 0, value));
  }

  void append(Assembler other) {
    instructions.addAll(other.instructions);
  }

  /** struct sock_filter[] in little-endian order. */
  byte[] bytes() {
    ByteBuffer buffer = ByteBuffer.allocate(instructions.size() * 8).order(ByteOrder.LITTLE_ENDIAN);
    for (Instruction i : instructions) {
      buffer.putShort((short) i.code).put((byte) i.jt).put((byte) i.jf).putInt(i.k);
    }
    return buffer.array();
  }
}
