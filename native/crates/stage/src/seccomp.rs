//! Seccomp filters of a process: read from the plan, and run on paper, since the process has to make two or three system calls
//! of its own (write, read, execve) after they are in force.

use sys::seccomp::Instruction;
use wire::plan::SeccompFilter;

use crate::errors::{Result, StageError, Step};

/// BPF_MAXINSNS of <linux/bpf_common.h>.
const MAX_INSTRUCTIONS: usize = 4096;
const INSTRUCTION_SIZE: usize = 8;
/// Most filters of one process that a plan may bring.
const MAX_FILTERS: usize = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE_ARCH: u32 = 0xc000_00b7;

pub struct Filter {
    pub program: Vec<Instruction>,
    pub flags: u32,
    /// Handle of the agent's socket; 0: none.
    pub listener_handle: u32,
}

/// The plan's filters, in the order of their installation.
pub fn of_plan(plan: &[SeccompFilter]) -> Result<Vec<Filter>> {
    if plan.len() > MAX_FILTERS {
        return Err(StageError::new(
            Step::InstallSeccomp,
            "filters",
            format!("more than {MAX_FILTERS}"),
        ));
    }
    let filters: Vec<Filter> = plan.iter().map(filter).collect::<Result<_>>()?;
    if filters
        .iter()
        .filter(|filter| filter.listener_handle != 0)
        .count()
        > 1
    {
        return Err(StageError::new(
            Step::InstallSeccomp,
            "filters",
            "two listeners, the kernel takes one per process",
        ));
    }
    Ok(filters)
}

fn filter(plan: &SeccompFilter) -> Result<Filter> {
    let length = plan.program.len();
    if length == 0
        || !length.is_multiple_of(INSTRUCTION_SIZE)
        || length / INSTRUCTION_SIZE > MAX_INSTRUCTIONS
    {
        let cause =
            format!("{length} bytes are no program of 1 to {MAX_INSTRUCTIONS} instructions");
        return Err(StageError::new(Step::InstallSeccomp, "filter", cause));
    }
    let program = plan
        .program
        .chunks_exact(INSTRUCTION_SIZE)
        .map(|bytes| Instruction {
            code: u16::from_ne_bytes([bytes[0], bytes[1]]),
            jump_true: bytes[2],
            jump_false: bytes[3],
            k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        })
        .collect();
    let listener = if plan.listener_handle == 0 {
        0
    } else {
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32
    };
    Ok(Filter {
        program,
        flags: plan.flags | listener,
        listener_handle: plan.listener_handle,
    })
}

/// Whether all filters let this system call of the native architecture through without asking anybody.
pub fn all_allow(filters: &[Filter], number: i64, arguments: [u64; 6]) -> bool {
    /// SECCOMP_RET_LOG and SECCOMP_RET_ALLOW.
    const HARMLESS: [u32; 2] = [0x7ffc_0000, 0x7fff_0000];
    let data = call_data(number as u32, arguments);
    filters.iter().all(|filter| {
        verdict(&filter.program, &data)
            .is_some_and(|verdict| HARMLESS.contains(&(verdict & 0xffff_0000)))
    })
}

/// struct seccomp_data.
fn call_data(number: u32, arguments: [u64; 6]) -> [u32; 16] {
    let mut data = [0; 16];
    data[0] = number;
    data[1] = NATIVE_ARCH;
    for (index, argument) in arguments.into_iter().enumerate() {
        let low = argument as u32;
        let high = (argument >> 32) as u32;
        let (first, second) = if cfg!(target_endian = "big") {
            (high, low)
        } else {
            (low, high)
        };
        data[4 + 2 * index] = first;
        data[5 + 2 * index] = second;
    }
    data
}

/// What a program answers; None for one that the kernel would not take. Programs only jump forward, so this ends.
fn verdict(program: &[Instruction], data: &[u32; 16]) -> Option<u32> {
    // Codes of <linux/bpf_common.h>: class | mode or operation | source.
    let (mut accumulator, mut index) = (0u32, 0u32);
    let mut memory = [0u32; 16];
    let mut at = 0usize;
    loop {
        let instruction = program.get(at)?;
        at += 1;
        let k = instruction.k;
        let operand = if instruction.code & 0x08 != 0 {
            index
        } else {
            k
        };
        match instruction.code {
            0x20 => accumulator = *data.get((k / 4) as usize).filter(|_| k % 4 == 0)?,
            0x00 => accumulator = k,
            0x80 => accumulator = 64,
            0x60 => accumulator = *memory.get(k as usize)?,
            0x01 => index = k,
            0x81 => index = 64,
            0x61 => index = *memory.get(k as usize)?,
            0x02 => *memory.get_mut(k as usize)? = accumulator,
            0x03 => *memory.get_mut(k as usize)? = index,
            0x07 => index = accumulator,
            0x87 => accumulator = index,
            0x06 => return Some(k),
            0x16 => return Some(accumulator),
            0x04 | 0x0c => accumulator = accumulator.wrapping_add(operand),
            0x14 | 0x1c => accumulator = accumulator.wrapping_sub(operand),
            0x24 | 0x2c => accumulator = accumulator.wrapping_mul(operand),
            0x34 | 0x3c => accumulator = accumulator.checked_div(operand)?,
            0x44 | 0x4c => accumulator |= operand,
            0x54 | 0x5c => accumulator &= operand,
            0x64 | 0x6c => accumulator = accumulator.checked_shl(operand).unwrap_or(0),
            0x74 | 0x7c => accumulator = accumulator.checked_shr(operand).unwrap_or(0),
            0x84 => accumulator = accumulator.wrapping_neg(),
            0xa4 | 0xac => accumulator ^= operand,
            0x05 => at = at.checked_add(k as usize)?,
            0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
                let holds = match instruction.code & 0xf0 {
                    0x10 => accumulator == operand,
                    0x20 => accumulator > operand,
                    0x30 => accumulator >= operand,
                    _ => accumulator & operand != 0,
                };
                at += usize::from(if holds {
                    instruction.jump_true
                } else {
                    instruction.jump_false
                });
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Instruction {
        Instruction {
            code,
            jump_true,
            jump_false,
            k,
        }
    }

    fn filters(program: Vec<Instruction>) -> Vec<Filter> {
        vec![Filter {
            program,
            flags: 0,
            listener_handle: 0,
        }]
    }

    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0001;

    #[test]
    fn a_filter_that_forbids_one_call_lets_the_others_through() {
        let program = vec![
            op(0x20, 0, 0, 0),
            op(0x15, 0, 1, libc::SYS_read as u32),
            op(0x06, 0, 0, ERRNO),
            op(0x06, 0, 0, ALLOW),
        ];
        let filters = filters(program);
        assert!(!all_allow(&filters, libc::SYS_read, [0; 6]));
        assert!(all_allow(&filters, libc::SYS_write, [0; 6]));
    }

    #[test]
    fn arguments_are_seen() {
        // args[0] low word == 7: forbidden.
        let program = vec![
            op(0x20, 0, 0, 16),
            op(0x15, 0, 1, 7),
            op(0x06, 0, 0, ERRNO),
            op(0x06, 0, 0, ALLOW),
        ];
        let filters = filters(program);
        assert!(!all_allow(&filters, libc::SYS_read, [7, 0, 0, 0, 0, 0]));
        assert!(all_allow(&filters, libc::SYS_read, [8, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn the_strictest_of_several_filters_counts() {
        let mut both = filters(vec![op(0x06, 0, 0, ALLOW)]);
        both.extend(filters(vec![op(0x06, 0, 0, 0x7fc0_0000)]));
        assert!(!all_allow(&both, libc::SYS_read, [0; 6]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_run_to_an_end(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..800)) {
            let plan = SeccompFilter { program: bytes, ..SeccompFilter::default() };
            if let Ok(filters) = of_plan(&[plan]) {
                all_allow(&filters, libc::SYS_read, [1; 6]);
            }
        }
    }
}
