//! The 64 bits that come back with a completion, and what they say.
//!
//! A token names a slot and never carries a pointer, so a completion that we do not know (from a
//! kernel or a process that forges one) is at worst ignored.

/// What an operation was, as told by its completion.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Token {
    /// A multishot receive. The generation tells one arming from the next, so that a late cancel
    /// can never hit the receive that followed.
    Receive {
        socket: u16,
        generation: u32,
    },
    Send {
        slot: u32,
    },
    /// A cancel that did not find the receive of that generation.
    Cancel {
        socket: u16,
        generation: u32,
    },
    /// A waker rang this ring.
    Wake,
    /// A message to the doorbell in this slot could not be delivered.
    Doorbell {
        slot: u16,
    },
    /// Names of network namespaces came or went.
    Names,
    Unknown,
}

const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CANCEL: u64 = 3;
const WAKE: u64 = 4;
const DOORBELL: u64 = 5;
const NAMES: u64 = 6;

const KIND_SHIFT: u32 = 56;
const GENERATION_SHIFT: u32 = 16;

impl Token {
    pub(super) fn encode(self) -> u64 {
        match self {
            Token::Receive { socket, generation } => of_receive(RECEIVE, socket, generation),
            Token::Send { slot } => SEND << KIND_SHIFT | u64::from(slot),
            Token::Cancel { socket, generation } => of_receive(CANCEL, socket, generation),
            Token::Wake => WAKE << KIND_SHIFT,
            Token::Doorbell { slot } => DOORBELL << KIND_SHIFT | u64::from(slot),
            Token::Names => NAMES << KIND_SHIFT,
            Token::Unknown => 0,
        }
    }

    pub(super) fn decode(bits: u64) -> Token {
        match bits >> KIND_SHIFT {
            RECEIVE => Token::Receive {
                socket: bits as u16,
                generation: (bits >> GENERATION_SHIFT) as u32,
            },
            SEND => Token::Send { slot: bits as u32 },
            CANCEL => {
                Token::Cancel { socket: bits as u16, generation: (bits >> GENERATION_SHIFT) as u32 }
            }
            WAKE => Token::Wake,
            DOORBELL => Token::Doorbell { slot: bits as u16 },
            NAMES => Token::Names,
            _ => Token::Unknown,
        }
    }
}

fn of_receive(kind: u64, socket: u16, generation: u32) -> u64 {
    kind << KIND_SHIFT | u64::from(generation) << GENERATION_SHIFT | u64::from(socket)
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn every_token_comes_back_as_it_went() {
        for token in [
            Token::Receive { socket: 0, generation: 0 },
            Token::Receive { socket: u16::MAX, generation: u32::MAX },
            Token::Send { slot: u32::MAX },
            Token::Cancel { socket: 7, generation: u32::MAX },
            Token::Wake,
            Token::Doorbell { slot: u16::MAX },
            Token::Names,
            Token::Unknown,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
