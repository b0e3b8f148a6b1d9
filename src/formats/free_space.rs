//! Free space between partitions, and placement of a new last partition.

/// Run of sectors, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Places `length` sectors at the end of the last free run of `usable` that holds them.
///
/// The start is aligned down to `align`, which enlarges the partition. The end is the end of the
/// run, as with `sgdisk -n 0:-64MB:0`. If the run is too small for alignment, the partition starts
/// with the run.
pub(crate) fn place_last(
    usable: Extent,
    used: &[Extent],
    length: u64,
    align: u64,
) -> Option<Extent> {
    let free = runs(usable, used);
    let run = free
        .iter()
        .rev()
        .find(|run| run.last - run.first >= length.saturating_sub(1))?;
    let latest = run.last.checked_sub(length.checked_sub(1)?)?;
    let first = (latest - latest % align.max(1)).max(run.first);
    Some(Extent {
        first,
        last: run.last,
    })
}

/// Returns the free runs of `usable`, in ascending order.
fn runs(usable: Extent, used: &[Extent]) -> Vec<Extent> {
    let mut used: Vec<Extent> = used.to_vec();
    used.sort();
    let mut runs = Vec::new();
    let mut next = usable.first;
    for extent in used {
        let before = extent.first.min(usable.last.saturating_add(1));
        if let Some(last) = before.checked_sub(1)
            && next <= last
        {
            runs.push(Extent { first: next, last });
        }
        next = next.max(extent.last.saturating_add(1));
    }
    if next <= usable.last {
        runs.push(Extent {
            first: next,
            last: usable.last,
        });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn extent(first: u64, last: u64) -> Extent {
        Extent { first, last }
    }

    #[test]
    fn the_last_run_that_is_long_enough_is_taken() {
        let used = [extent(100, 199), extent(0, 9), extent(900, 995)];
        assert_eq!(
            place_last(extent(0, 999), &used, 50, 10),
            Some(extent(850, 899))
        );
        assert_eq!(
            place_last(extent(0, 999), &used, 4, 10),
            Some(extent(996, 999)),
            "too tight to align, and still used"
        );
        assert_eq!(place_last(extent(0, 999), &used, 701, 10), None);
    }

    proptest! {
        #[test]
        fn a_place_is_usable_free_and_long_enough(
            used in prop::collection::vec((any::<u64>(), any::<u64>()), 0..8),
            usable: (u64, u64), length: u64, align: u64,
        ) {
            let used: Vec<Extent> = used.into_iter().map(|(a, b)| extent(a.min(b), a.max(b))).collect();
            let usable = extent(usable.0.min(usable.1), usable.0.max(usable.1));
            if let Some(place) = place_last(usable, &used, length, align) {
                prop_assert!(place.first >= usable.first && place.last <= usable.last);
                prop_assert!(place.last - place.first >= length - 1);
                prop_assert!(used.iter().all(|other| other.last < place.first || place.last < other.first));
            }
        }
    }
}
