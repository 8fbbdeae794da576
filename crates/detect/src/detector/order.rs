//! Puts what was found in order. All of it is sorted as numbers, since each type that is sorted by
//! itself is two kilobytes of code.

/// What can be packed into a number that has its order.
pub(super) trait Packed: Copy {
    fn pack(self) -> u64;
    fn unpack(number: u64) -> Self;
}

/// Sorts.
pub(super) fn sort<T: Packed>(items: &mut [T]) {
    let mut numbers: Vec<u64> = items.iter().map(|item| item.pack()).collect();
    numbers.sort_unstable();
    for (item, number) in items.iter_mut().zip(numbers) {
        *item = T::unpack(number);
    }
}
