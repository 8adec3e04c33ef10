//! A stream written as straight code: the body emits items, and runs only while the stream is polled.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{Stream, future::poll_fn};

/// Where the body of a coroutine puts its items.
pub(crate) struct Emitter<T> {
    slot: Arc<Mutex<Option<T>>>,
}

/// The stream of what a body emits. Dropping it drops the body where it stands.
pub(crate) struct Coroutine<T> {
    slot: Arc<Mutex<Option<T>>>,
    body: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// A stream that ends when its body does.
pub(crate) fn coroutine<T, F>(body: impl FnOnce(Emitter<T>) -> F) -> Coroutine<T>
where
    F: Future<Output = ()> + Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let emitter = Emitter {
        slot: Arc::clone(&slot),
    };
    Coroutine {
        slot,
        body: Some(Box::pin(body(emitter))),
    }
}

/// A stream whose body never ends.
pub(crate) fn endless<T, F>(body: impl FnOnce(Emitter<T>) -> F) -> Coroutine<T>
where
    F: Future<Output = Infallible> + Send + 'static,
{
    coroutine(|emitter| {
        let body = body(emitter);
        async move { match body.await {} }
    })
}

impl<T> Emitter<T> {
    /// Hands an item over. It goes on when the item was taken and the stream is polled for the next one.
    pub(crate) async fn emit(&self, item: T) {
        let mut item = Some(item);
        poll_fn(|_| {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(item) = item.take() {
                *slot = Some(item);
            }
            // No waker: whoever takes the item polls the stream, and with it this body, again.
            if slot.is_some() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

impl<T> Stream for Coroutine<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let ended = body.as_mut().poll(context).is_ready();
        let item = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if ended {
            self.body = None;
        }
        match item {
            Some(item) => Poll::Ready(Some(item)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl<T> Unpin for Coroutine<T> {}

impl<T> fmt::Debug for Coroutine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn the_body_goes_on_only_when_its_item_was_taken_and_more_is_wanted() {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&steps);
        let mut stream = coroutine(|emitter| async move {
            for step in 0..3 {
                told.lock().unwrap().push(step);
                emitter.emit(step).await;
            }
        });
        assert_eq!(stream.next().await, Some(0));
        assert_eq!(*steps.lock().unwrap(), [0]);
        assert_eq!(stream.next().await, Some(1));
        assert_eq!(stream.next().await, Some(2));
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn dropping_the_stream_drops_what_its_body_holds() {
        let held = Arc::new(());
        let inner = Arc::clone(&held);
        let mut stream = endless(|emitter| async move {
            loop {
                emitter.emit(Arc::strong_count(&inner)).await;
            }
        });
        assert_eq!(stream.next().await, Some(2));
        drop(stream);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
