//! Who watches whom. Knows ids only: not addresses, not whether anyone is alive. Every node computes the same
//! answer without talking, and it is mutual: whom I watch watches me.
//!
//! In a small room everyone watches everyone. In a larger one the members stand on three rings, each in another
//! order, and one watches its neighbours on each: at most six. Only those neighbours are kept, so a change costs
//! the same in a room of any size; the loss of a neighbour costs one look at all members.

use std::collections::BTreeSet;

use crate::base::MemberId;
use crate::base::limits::{EVERYONE_WATCHES_MAX, FLOODED_RINGS, TOUCHED_MEMBERS_MAX, WITNESS_RINGS};

/// Where a member stands on each ring.
type Places = [u64; WITNESS_RINGS];

/// The nearest on one side of one ring: how far away, and who. The id decides between two at one place.
type Neighbour = Option<(u64, MemberId)>;

/// This node's place among the members that are neither unreachable nor left.
#[derive(Debug)]
pub struct Rings {
    places: Places,
    /// How many others there are.
    count: usize,
    /// All of them, while there are few enough for each pair to keep a session.
    all: BTreeSet<MemberId>,
    /// On each ring the next one, and the one before.
    next: [Neighbour; WITNESS_RINGS],
    before: [Neighbour; WITNESS_RINGS],
}

impl Rings {
    #[must_use]
    pub fn new(me: MemberId) -> Self {
        Self {
            places: places(me),
            count: 0,
            all: BTreeSet::new(),
            next: [None; WITNESS_RINGS],
            before: [None; WITNESS_RINGS],
        }
    }

    /// Takes in a member that was not there; says whether that can change whom this node watches.
    pub fn add(&mut self, id: MemberId) -> bool {
        let watched_all = self.watches_all();
        self.count += 1;
        if self.touches_all() {
            self.all.insert(id);
        } else {
            self.all.clear();
        }
        self.stand(id) || watched_all
    }

    /// Takes out one that was there; `rest` are those who stay. Says whether that can change whom this node
    /// watches.
    pub fn remove(&mut self, id: MemberId, rest: impl Iterator<Item = MemberId>) -> bool {
        let knew_all = self.touches_all();
        self.count -= 1;
        let is_neighbour = self.neighbours().any(|neighbour| neighbour == id);
        if knew_all {
            self.all.remove(&id);
        }
        if is_neighbour {
            self.next = [None; WITNESS_RINGS];
            self.before = [None; WITNESS_RINGS];
        }
        if is_neighbour || knew_all != self.touches_all() {
            let is_near = self.touches_all();
            for other in rest {
                self.stand(other);
                if is_near {
                    self.all.insert(other);
                }
            }
        }
        is_neighbour || self.watches_all()
    }

    /// How many others there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whom this node watches.
    #[must_use]
    pub fn watched(&self) -> BTreeSet<MemberId> {
        if self.watches_all() { self.all.clone() } else { self.neighbours().collect() }
    }

    /// Those with whom this node keeps a session, watched or not, while the room is small enough for that.
    #[must_use]
    pub fn touched(&self) -> &BTreeSet<MemberId> {
        &self.all
    }

    /// The neighbours over whom what is for all is passed on, where it does not go to each directly: mutual too, and in a
    /// room of some size at most four.
    #[must_use]
    pub fn flooded(&self) -> BTreeSet<MemberId> {
        let near = self.next.iter().take(FLOODED_RINGS).chain(self.before.iter().take(FLOODED_RINGS));
        near.flatten().map(|&(_, id)| id).collect()
    }

    /// Whether there are too many for each pair to keep a session.
    #[must_use]
    pub fn is_large(&self) -> bool {
        !self.touches_all()
    }

    /// Whether this node would watch `id`, which is not among the members now, if it were.
    #[must_use]
    pub fn would_watch(&self, id: MemberId) -> bool {
        if self.count + 2 <= EVERYONE_WATCHES_MAX {
            return true;
        }
        places(id).iter().zip(self.places).enumerate().any(|(ring, (theirs, mine))| {
            let ahead = theirs.wrapping_sub(mine);
            let behind = ahead.wrapping_neg();
            self.next[ring].is_none_or(|nearest| (ahead, id) < nearest)
                || self.before[ring].is_none_or(|nearest| (behind, id) < nearest)
        })
    }

    fn watches_all(&self) -> bool {
        self.count < EVERYONE_WATCHES_MAX
    }

    fn touches_all(&self) -> bool {
        self.count < TOUCHED_MEMBERS_MAX
    }

    fn neighbours(&self) -> impl Iterator<Item = MemberId> {
        self.next.iter().chain(&self.before).flatten().map(|&(_, id)| id)
    }

    /// Puts a member on the rings; says whether it is nearer than who was nearest.
    fn stand(&mut self, id: MemberId) -> bool {
        let mut is_nearer = false;
        for (ring, (theirs, mine)) in places(id).iter().zip(self.places).enumerate() {
            let ahead = theirs.wrapping_sub(mine);
            is_nearer |= settle(&mut self.next[ring], (ahead, id));
            is_nearer |= settle(&mut self.before[ring], (ahead.wrapping_neg(), id));
        }
        is_nearer
    }
}

fn settle(nearest: &mut Neighbour, candidate: (u64, MemberId)) -> bool {
    let is_nearer = nearest.is_none_or(|known| candidate < known);
    if is_nearer {
        *nearest = Some(candidate);
    }
    is_nearer
}

/// A member's place on each ring: 8 bytes each of one hash of its id.
fn places(id: MemberId) -> Places {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"folkmoot rings v1\0");
    hasher.update(&id.0);
    let hash = hasher.finalize();
    let (chunks, _) = hash.as_bytes().as_chunks::<8>();
    std::array::from_fn(|ring| u64::from_be_bytes(chunks[ring]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u32) -> MemberId {
        MemberId(*blake3::hash(&n.to_be_bytes()).as_bytes())
    }

    fn rings(me: MemberId, all: &BTreeSet<MemberId>) -> Rings {
        let mut rings = Rings::new(me);
        for &other in all.iter().filter(|&&other| other != me) {
            rings.add(other);
        }
        rings
    }

    fn room(size: u32) -> BTreeSet<MemberId> {
        (0..size).map(id).collect()
    }

    #[test]
    fn up_to_seven_everyone_watches_everyone_but_oneself() {
        for size in 1..=7 {
            let all = room(size);
            for &me in &all {
                let mut others = all.clone();
                others.remove(&me);
                assert_eq!(rings(me, &all).watched(), others);
            }
        }
    }

    #[test]
    fn beyond_seven_it_is_at_most_six_and_mutual() {
        for size in [8, 20, 64, 65, 300] {
            let all = room(size);
            let watched: Vec<_> = all.iter().map(|&me| (me, rings(me, &all).watched())).collect();
            for (me, mine) in &watched {
                assert!((2..=6).contains(&mine.len()), "{} of {size}", mine.len());
                for other in mine {
                    let theirs = &watched.iter().find(|(id, _)| id == other).unwrap().1;
                    assert!(theirs.contains(me));
                }
            }
        }
    }

    #[test]
    fn everyone_can_be_reached_over_the_rings() {
        let all = room(1_000);
        let watched: std::collections::BTreeMap<_, _> = all.iter().map(|&me| (me, rings(me, &all).watched())).collect();
        let mut reached = BTreeSet::from([id(0)]);
        let mut edge = reached.clone();
        let mut hops = 0;
        while reached.len() < all.len() {
            edge = edge.iter().flat_map(|id| &watched[id]).copied().filter(|id| !reached.contains(id)).collect();
            assert!(!edge.is_empty());
            reached.extend(&edge);
            hops += 1;
        }
        assert!(hops <= 7, "{hops} hops");
    }

    #[test]
    fn what_is_flooded_reaches_everyone_over_at_most_four_links_a_member_also_without_a_tenth_of_them() {
        let all = room(1_000);
        let gone: BTreeSet<MemberId> = (1..=100).map(|n| id(n * 7)).collect();
        let links: std::collections::BTreeMap<_, _> = all.iter().map(|&me| (me, rings(me, &all).flooded())).collect();
        for (me, mine) in &links {
            assert!((2..=4).contains(&mine.len()) && mine.iter().all(|other| links[other].contains(me)));
            assert!(mine.is_subset(&rings(*me, &all).watched()));
        }
        let mut reached = BTreeSet::from([id(0)]);
        let mut edge = reached.clone();
        let mut hops = 0;
        while !edge.is_empty() {
            let fresh = |id: &MemberId| !reached.contains(id) && !gone.contains(id);
            edge = edge.iter().flat_map(|id| &links[id]).copied().filter(fresh).collect();
            reached.extend(&edge);
            hops += 1;
        }
        assert!(reached.len() >= 895 && hops <= 12, "{} in {hops} hops", reached.len());
    }

    #[test]
    fn only_small_rooms_are_touched_all_round() {
        assert_eq!(rings(id(0), &room(64)).touched().len(), 63);
        assert!(rings(id(0), &room(65)).touched().is_empty());
    }

    proptest! {
        #[test]
        fn every_order_of_coming_and_going_ends_the_same(
            steps in proptest::collection::vec((1_u32..90, any::<bool>()), 1..300),
        ) {
            let me = id(0);
            let mut all = BTreeSet::from([me]);
            let mut moving = Rings::new(me);
            for (n, comes) in steps {
                let before = moving.watched();
                let changed = if comes && all.insert(id(n)) {
                    prop_assert_eq!(moving.would_watch(id(n)), {
                        rings(me, &all).watched().contains(&id(n))
                    });
                    moving.add(id(n))
                } else if !comes && all.remove(&id(n)) {
                    moving.remove(id(n), all.iter().copied().filter(|&other| other != me))
                } else {
                    false
                };
                let fresh = rings(me, &all);
                prop_assert_eq!(moving.watched(), fresh.watched());
                prop_assert_eq!(moving.touched(), fresh.touched());
                prop_assert!(changed || before == moving.watched());
            }
        }
    }
}
