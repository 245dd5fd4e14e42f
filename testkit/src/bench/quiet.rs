//! Slices that other work has disturbed are taken again, and counted.

/// Envoy at full speed must be busy for at least this share of what is usual for its row.
const BUSY: f64 = 0.97;
/// At a pace, Envoy and load may wait for a core for at most this share of the time more than is
/// usual for the row: in a slice of 500 requests a time slice of the scheduler, 3 ms.
const WAITING: f64 = 0.03;

/// Whether a slice at full speed was disturbed: the load was kept from its core, or Envoy from its
/// own. `usual` is the median of what the row shows before it is measured.
pub fn is_idle(busy: f64, usual: f64) -> bool {
    busy < BUSY * usual
}

/// Whether a slice at a pace was disturbed: other work ran on the cores while Envoy or load could
/// have run. Waking up is waiting, too, so that `usual` is far above 0 on a virtual machine.
pub fn is_held_up(waiting: f64, usual: f64) -> bool {
    waiting > usual + WAITING
}

/// The slices of a row that are kept, in their order.
pub struct Kept<T> {
    /// One for each round.
    pub slices: Vec<T>,
    /// Disturbed slices that were taken again.
    pub discarded: usize,
    /// Disturbed slices that were kept, since no more attempts were left.
    pub disturbed: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            slices: Vec::new(),
            discarded: 0,
            disturbed: 0,
        }
    }
}

impl<T> Kept<T> {
    /// Takes a slice, at most `again` times more while it is disturbed. The last one is kept.
    pub async fn take(
        &mut self,
        again: usize,
        is_disturbed: impl Fn(&T) -> bool,
        mut slice: impl AsyncFnMut() -> T,
    ) {
        let mut taken = slice().await;
        for _ in 0..again {
            if !is_disturbed(&taken) {
                break;
            }
            self.discarded += 1;
            taken = slice().await;
        }

        self.disturbed += usize::from(is_disturbed(&taken));
        self.slices.push(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn disturbed_slices_are_counted() {
        let shares = [0.5, 0.9, 0.8, 0.5, 0.4, 0.3];
        let mut next = shares.into_iter();
        let mut kept = Kept::default();
        for _ in 0..3 {
            let disturbed = |busy: &f64| is_idle(*busy, 0.8);
            kept.take(2, disturbed, async || next.next().unwrap()).await;
        }

        assert_eq!(kept.slices, [0.9, 0.8, 0.3]);
        assert_eq!((kept.discarded, kept.disturbed), (3, 1));
    }
}
