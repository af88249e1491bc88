//! What ledgers of one fork have in common is computed once.
//!
//! Accounts never move to another leaf, so the ledgers of one fork have the same accounts at the same
//! positions, but for those that changed between two epochs. Comparing an account with the one at
//! the same position of another ledger costs a thousandth of hashing it, and needs no memory beyond
//! the batch.

/// Computes a value for every item of every list, those of equal items at equal positions once.
///
/// `compute` gives the values of a list of items, in order.
pub(crate) fn shared<K, V, E>(
    lists: &[&[K]],
    compute: impl FnOnce(&[K]) -> Result<Vec<V>, E>,
) -> Result<Vec<Vec<V>>, E>
where
    K: Clone + PartialEq,
    V: Copy,
{
    if let [list] = lists {
        return Ok(vec![compute(list)?]);
    }
    let mut distinct: Vec<K> = Vec::new();
    // For every item, the place of its value among the distinct ones.
    let mut places: Vec<Vec<usize>> = Vec::with_capacity(lists.len());
    for (number, list) in lists.iter().enumerate() {
        let (earlier, _) = lists.split_at(number);
        let mut list_places = Vec::with_capacity(list.len());
        for (position, item) in list.iter().enumerate() {
            let same = earlier
                .iter()
                .position(|earlier| earlier.get(position) == Some(item))
                .and_then(|same| places.get(same)?.get(position).copied());
            list_places.push(same.unwrap_or(distinct.len()));
            if same.is_none() {
                distinct.push(item.clone());
            }
        }
        places.push(list_places);
    }
    let values = compute(&distinct)?;
    Ok(places
        .into_iter()
        .map(|places| places.into_iter().map(|place| values[place]).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn equal_items_at_equal_positions_are_computed_once() {
        let computed = RefCell::new(Vec::new());
        let square = |items: &[u64]| {
            computed.borrow_mut().extend_from_slice(items);
            Ok::<_, ()>(items.iter().map(|item| item * item).collect())
        };
        let lists: [&[u64]; 4] = [&[1, 2, 3], &[1, 5, 3, 4], &[], &[9, 5, 2, 4, 7]];
        assert_eq!(
            shared(&lists, square).unwrap(),
            [
                vec![1, 4, 9],
                vec![1, 25, 9, 16],
                vec![],
                vec![81, 25, 4, 16, 49]
            ]
        );
        assert_eq!(*computed.borrow(), [1, 2, 3, 5, 4, 9, 2, 7]);
    }

    #[test]
    fn one_list_is_computed_as_it_is() {
        let lists: [&[u64]; 1] = [&[3, 3]];
        let found = shared(&lists, |items| {
            assert_eq!(items, [3, 3]);
            Ok::<_, ()>(vec![1, 2])
        });
        assert_eq!(found, Ok(vec![vec![1, 2]]));
        assert_eq!(shared(&lists, |_| Err::<Vec<()>, _>("no")), Err("no"));
    }
}
