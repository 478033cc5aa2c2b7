//! What a run that has ended retains.

use super::Run;
use super::node::each_payload;
use crate::base::payload::Payload;
use std::sync::Arc;

/// The most bytes of payloads that are packed when a run ends: the work of one call.
const MOST: u32 = 16 << 10;
/// The number of packed payloads that are compared with others.
const COMPARED: usize = 8;

/// Holds payloads as text. Payloads that were shared are shared again.
struct Packer {
    left: u32,
    packed: Vec<(Payload, Payload)>,
}

impl Packer {
    fn pack(&mut self, payload: &mut Payload) {
        if payload.depth() == 0 {
            return;
        }
        if let Some((_, known)) = self.packed.iter().find(|(whole, _)| whole.is_same(payload)) {
            *payload = known.clone();
            return;
        }
        let Some(left) = self.left.checked_sub(payload.bytes()) else { return };
        let Some(packed) = payload.packed() else { return };
        self.left = left;
        let whole = core::mem::replace(payload, packed);
        if self.packed.len() < COMPARED {
            self.packed.push((whole, payload.clone()));
        }
    }
}

/// Packs the payloads of a run that has ended: it is retained for readers, and few of its values are read again.
pub(super) fn pack(run: &mut Run) {
    let mut packer = Packer { left: MOST, packed: Vec::new() };
    let mut input = run.spec.input.clone();
    packer.pack(&mut input);
    if !input.is_same(&run.spec.input) {
        Arc::make_mut(&mut run.spec).input = input;
    }
    run.graph.change_all(|state| each_payload(state, |payload| packer.pack(payload)));
    if let Some(output) = run.course.output_mut() {
        packer.pack(output);
    }
}
