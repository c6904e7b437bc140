//! Taking memory, and giving a known output.

use std::io::Write;
use std::process::ExitCode;

/// Takes memory piece by piece and touches each page, until the limit speaks.
pub fn eat(arguments: &[String]) -> ExitCode {
    let Some(mebibytes) = arguments
        .first()
        .and_then(|text| text.parse::<usize>().ok())
    else {
        return ExitCode::from(2);
    };
    let mut taken = Vec::new();
    for _ in 0..mebibytes {
        taken.push(vec![0xa5_u8; 1 << 20]);
    }
    println!("taken {}", taken.len());
    ExitCode::SUCCESS
}

/// A byte sequence in which each position tells which it is: 8 byte little-endian counters.
pub fn fill(arguments: &[String]) -> ExitCode {
    let Some(mut left) = arguments
        .first()
        .and_then(|text| text.parse::<usize>().ok())
    else {
        return ExitCode::from(2);
    };
    let mut out = std::io::stdout().lock();
    let mut counter = 0_u64;
    let mut block = Vec::with_capacity(1 << 16);
    while left > 0 {
        block.clear();
        while block.len() < 1 << 16 {
            block.extend_from_slice(&counter.to_le_bytes());
            counter += 1;
        }
        let length = left.min(block.len());
        if out.write_all(&block[..length]).is_err() {
            return ExitCode::FAILURE;
        }
        left -= length;
    }
    if out.flush().is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
