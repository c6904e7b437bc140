package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.DeviceType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Device rules as an eBPF program for BPF_CGROUP_DEVICE. It walks the rules from the last to the
 * first and keeps the kinds of access that no rule has decided yet: a denial of one of them ends
 * it, and it permits when none is left. Codes and layouts are those of linux/bpf.h.
 */
final class DeviceProgram {
  /** BPF_DEVCG_ACC_*. */
  private static final int MKNOD = 1;

  private static final int READ = 2;
  private static final int WRITE = 4;

  /** BPF_DEVCG_DEV_*. */
  private static final int BLOCK = 1;

  private static final int CHAR = 2;

  /** Offsets in struct bpf_cgroup_dev_ctx. */
  private static final int ACCESS_TYPE = 0;

  private static final int MAJOR = 4;
  private static final int MINOR = 8;

  private static final int LDX_MEM_W = 0x61;
  private static final int MOV64_REG = 0xbf;
  private static final int MOV64_IMM = 0xb7;
  private static final int AND32_IMM = 0x54;
  private static final int RSH32_IMM = 0x74;
  private static final int JNE_IMM = 0x55;
  private static final int JA = 0x05;
  private static final int JSET_IMM = 0x45;
  private static final int EXIT = 0x95;

  /** Registers: what is asked, taken apart. */
  private static final int RESULT = 0;

  private static final int CONTEXT = 1;
  private static final int TYPE = 2;
  private static final int UNDECIDED = 3;
  private static final int MAJOR_REGISTER = 4;
  private static final int MINOR_REGISTER = 5;

  /** BPF_MAXINSNS. */
  private static final int MAX_INSTRUCTIONS = 4096;

  private record Instruction(int code, int destination, int source, int offset, int immediate) {}

  private final List<Instruction> instructions = new ArrayList<>();

  private DeviceProgram() {}

  /** struct bpf_insn[], little endian. */
  static byte[] compile(DeviceRules rules) throws BrigException {
    DeviceProgram program = new DeviceProgram();
    program.prologue();
    List<DeviceRules.Rule> all = rules.rules();
    for (int i = all.size() - 1; i >= 0; i--) {
      program.rule(all.get(i));
      if (all.get(i).isTotal()) {
        break;
      }
    }
    program.answer(0);
    if (program.instructions.size() > MAX_INSTRUCTIONS) {
      throw Refusal.host(
          "linux.resources.devices",
          "are too many rules for one program: " + all.size(),
          "use fewer, broader rules");
    }
    return program.bytes();
  }

  private void prologue() {
    emit(LDX_MEM_W, TYPE, CONTEXT, ACCESS_TYPE, 0);
    emit(MOV64_REG, UNDECIDED, TYPE, 0, 0);
    emit(AND32_IMM, TYPE, 0, 0, 0xffff);
    emit(RSH32_IMM, UNDECIDED, 0, 0, 16);
    emit(LDX_MEM_W, MAJOR_REGISTER, CONTEXT, MAJOR, 0);
    emit(LDX_MEM_W, MINOR_REGISTER, CONTEXT, MINOR, 0);
  }

  private void rule(DeviceRules.Rule rule) {
    DeviceProgram body = new DeviceProgram();
    int access = bits(rule.access());
    if (rule.allow()) {
      body.emit(AND32_IMM, UNDECIDED, 0, 0, ~access);
      // Something left: on to the next rule. Nothing: permitted.
      body.emit(JNE_IMM, UNDECIDED, 0, 2, 0);
      body.answer(1);
    } else {
      body.emit(JSET_IMM, UNDECIDED, 0, 1, access);
      body.emit(JA, 0, 0, 2, 0);
      body.answer(0);
    }
    List<Instruction> tests = new ArrayList<>();
    if (rule.type() != DeviceType.EVERY) {
      int type = rule.type() == DeviceType.BLOCK ? BLOCK : CHAR;
      tests.add(new Instruction(JNE_IMM, TYPE, 0, 0, type));
    }
    if (rule.major() >= 0) {
      tests.add(new Instruction(JNE_IMM, MAJOR_REGISTER, 0, 0, (int) rule.major()));
    }
    if (rule.minor() >= 0) {
      tests.add(new Instruction(JNE_IMM, MINOR_REGISTER, 0, 0, (int) rule.minor()));
    }
    int size = tests.size() + body.instructions.size();
    for (Instruction test : tests) {
      size--;
      instructions.add(new Instruction(test.code(), test.destination(), 0, size, test.immediate()));
    }
    instructions.addAll(body.instructions);
  }

  private void answer(int value) {
    emit(MOV64_IMM, RESULT, 0, 0, value);
    emit(EXIT, 0, 0, 0, 0);
  }

  private static int bits(String access) {
    int bits = 0;
    for (char letter : access.toCharArray()) {
      bits |=
          switch (letter) {
            case 'm' -> MKNOD;
            case 'r' -> READ;
            case 'w' -> WRITE;
            default -> throw new IllegalArgumentException(access);
          };
    }
    return bits;
  }

  private void emit(int code, int destination, int source, int offset, int immediate) {
    instructions.add(new Instruction(code, destination, source, offset, immediate));
  }

  private byte[] bytes() {
    ByteBuffer buffer = ByteBuffer.allocate(instructions.size() * 8).order(ByteOrder.LITTLE_ENDIAN);
    for (Instruction i : instructions) {
      buffer
          .put((byte) i.code())
          .put((byte) (i.source() << 4 | i.destination()))
          .putShort((short) i.offset())
          .putInt(i.immediate());
    }
    return buffer.array();
  }
}
