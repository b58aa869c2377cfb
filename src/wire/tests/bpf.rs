//! Classic BPF as the kernel runs it, for programs of `wire/filter.rs`; ring/tests/filter.rs
//! compares it with the kernel.

use super::super::filter::Instruction;
use super::super::view::attributes;

/// SKF_AD_OFF + SKF_AD_NLATTR (`linux/filter.h`).
const FIND_ATTRIBUTE: u32 = 0xffff_f00c;

/// How many bytes of the datagram the program lets stay; 0 drops it, and so does a load beyond
/// its end.
pub(crate) fn run(program: &[Instruction], datagram: &[u8]) -> u32 {
    execute(program, datagram).unwrap_or(0)
}

fn execute(program: &[Instruction], datagram: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; 16]);
    let mut at = 0;
    loop {
        let Instruction { code, jt, jf, k } = *program.get(at).expect("it ends by a return");
        at += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x06 => return Some(k),
            0x00 => a = k,
            0x01 => x = k,
            0x02 => memory[k as usize] = a,
            0x61 => x = memory[k as usize],
            0x07 => x = a,
            0x4c => a |= x,
            0xac => a ^= x,
            0x64 => a <<= k,
            0x80 => a = datagram.len() as u32,
            0x20 if k == FIND_ATTRIBUTE => a = find(datagram, a, x),
            0x20 => a = u32::from_be_bytes(load(datagram, k)?),
            0x28 => a = u16::from_be_bytes(load(datagram, k)?).into(),
            0x30 => [a] = load(datagram, k)?.map(|byte: u8| byte.into()),
            0x40 => a = u32::from_be_bytes(load(datagram, x.wrapping_add(k))?),
            0x48 => a = u16::from_be_bytes(load(datagram, x.wrapping_add(k))?).into(),
            0x05 => at += k as usize,
            0x15 => branch(a == k),
            0x1d => branch(a == x),
            0x25 => branch(a > k),
            0x35 => branch(a >= k),
            0x45 => branch(a & k != 0),
            _ => panic!("no such instruction: {code:#x}"),
        }
    }
}

fn load<const N: usize>(datagram: &[u8], offset: u32) -> Option<[u8; N]> {
    datagram.get(offset as usize..)?.first_chunk().copied()
}

/// `bpf_skb_get_nlattr` (net/core/filter.c).
fn find(datagram: &[u8], from: u32, kind: u32) -> u32 {
    let Some(body) = datagram.get(from as usize..) else { return 0 };
    let found = attributes(body).find(|attribute| u32::from(attribute.kind) == kind);
    let start = datagram.as_ptr() as usize;
    found.map_or(0, |found| (found.value.as_ptr() as usize - start - 4) as u32)
}
