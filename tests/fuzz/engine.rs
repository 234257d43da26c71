//! Mutations of seeds, for as long as one likes, on a stable toolchain. It does not see which code runs, as libFuzzer does
//! (`scripts/fuzz`); what it finds, it finds in a minute on any machine.

use std::{
    env,
    fmt::Write as _,
    panic::catch_unwind,
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::targets::Target;

/// How long a target runs, in seconds, unless told; `scripts/test` tells a minute.
const SECONDS: u64 = 1;
/// How many inputs that were made before others are made of, beside the seeds.
const POOL: usize = 256;
const MAX_BYTES: usize = 16 * 1024;

/// What parsers often treat in a special way.
const WORDS: [&[u8]; 40] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b" ",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b",",
    b":",
    b";",
    b"=",
    b"%00",
    b"%",
    b"/",
    b"//",
    b"..",
    b"-",
    b"+",
    b"0",
    b"-1",
    b"1e999",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0.1",
    b"null",
    b"true",
    b"*",
    b"W/",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\x94",
    b"\xf0\x9f\x92\xa9",
];

/// Runs the target with one input after the other until the time is over.
///
/// `ALM_FUZZ_SECONDS` says how long, `ALM_FUZZ_SEED` repeats a run, `ALM_FUZZ_INPUT` runs one input, in hex.
///
/// # Panics
/// The target does. The message has all that it takes to see it again.
pub(crate) fn run(target: &Target) {
    if let Ok(input) = env::var("ALM_FUZZ_INPUT") {
        (target.run)(&from_hex(&input));
        return;
    }
    let number = |name: &str| {
        env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let budget = Duration::from_secs(number("ALM_FUZZ_SECONDS").unwrap_or(SECONDS));
    let seed = number("ALM_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seeds = (target.seeds)();
    for input in &seeds {
        attempt(target, input, seed, 0);
    }
    let mut rng = Rng::with_seed(seed);
    let mut pool = Vec::new();
    let mut runs: u64 = 0;
    let begun = Instant::now();
    while begun.elapsed() < budget {
        let input = next(&mut rng, &seeds, &pool);
        runs += 1;
        attempt(target, &input, seed, runs);
        // Some changes show only on top of others.
        if rng.u8(..) < 32 {
            if pool.len() < POOL {
                pool.push(input);
            } else {
                pool[rng.usize(..POOL)] = input;
            }
        }
    }
    println!("{}: {runs} inputs in {budget:?}, seed {seed}", target.name);
}

fn attempt(target: &Target, input: &[u8], seed: u64, runs: u64) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        let (name, hex) = (target.name, to_hex(input));
        panic!(
            "the target {name} has failed (above) after {runs} inputs with the seed {seed}. Again: \
             ALM_FUZZ_INPUT={hex} cargo test --test fuzz {name}\nThe input: {:?}",
            String::from_utf8_lossy(input),
        );
    }
}

fn next(rng: &mut Rng, seeds: &[Vec<u8>], pool: &[Vec<u8>]) -> Vec<u8> {
    let pick = |rng: &mut Rng| -> Vec<u8> {
        if pool.is_empty() || rng.bool() { &seeds[rng.usize(..seeds.len())] } else { &pool[rng.usize(..pool.len())] }
            .clone()
    };
    let mut input = pick(rng);
    for _ in 0..=rng.u8(..6) {
        let at = rng.usize(..=input.len());
        let until = at + rng.usize(..=(input.len() - at).min(16));
        match rng.u8(..10) {
            0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            1 if at < input.len() => input[at] = rng.u8(..),
            2 if at < input.len() => input[at] = input[at].wrapping_add(if rng.bool() { 1 } else { u8::MAX }),
            3 => input.insert(at, rng.u8(..)),
            4 => drop(input.drain(at..until)),
            5 => {
                let piece = input[at..until].to_vec();
                let to = rng.usize(..=input.len());
                input.splice(to..to, piece);
            }
            6 => drop(input.splice(at..until, WORDS[rng.usize(..WORDS.len())].iter().copied())),
            7 => {
                let word = WORDS[rng.usize(..WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            8 => {
                let other = pick(rng);
                let from = rng.usize(..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ if rng.u8(..8) == 0 => input.truncate(at),
            _ => {}
        }
    }
    input.truncate(MAX_BYTES);
    input
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("hex digits");
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::try_from(pair.iter().fold(0, |byte, half| byte * 16 + digit(half))).unwrap()).collect()
}
