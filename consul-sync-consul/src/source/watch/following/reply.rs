//! An answer to a query that may have been held, and what of it is new.

use std::{future::Future, time::Duration};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    Client, Error,
    answer::Answer,
    block::{Cursor, News, Query, Step},
    request::Request,
    source::ask::Read,
};

/// An answer to a query that may have been held.
#[derive(Debug)]
pub(super) struct Reply<T> {
    pub(super) result: Result<Read<T>, Error>,
    pub(super) held: Duration,
    /// For how long it was to be held; zero where it was not.
    pub(super) wait: Duration,
}

/// A content that is not the known one. Whoever takes it says to its query what news it was.
#[derive(Debug)]
pub(super) struct Fresh<T> {
    pub(super) content: T,
    pub(super) parse: Duration,
    pub(super) held: Duration,
}

// === impl Reply ===

impl<T: Send + 'static> Reply<T> {
    /// Asks what a query asks, from this index on, and reads the answer.
    pub(super) fn to<R>(
        query: &Query,
        client: &Client,
        request: Request,
        index: u64,
        least: Duration,
        read: impl FnOnce(Answer) -> R + Send + 'static,
    ) -> BoxFuture<'static, Self>
    where
        R: Future<Output = Result<Read<T>, Error>> + Send,
    {
        let wait = query.wait(least);
        let open = query.send(client, request, index, least);
        async move {
            let reply = open.await;
            let result = match reply.result {
                Ok(answer) => read(answer).await,
                Err(error) => Err(error),
            };
            let held = reply.held;
            Self { result, held, wait }
        }
        .boxed()
    }
}

impl<T> Reply<T> {
    /// Tells the query and its cursor, as far as that is the same for every query beside the list's. No cursor is given
    /// for an answer whose index says nothing. `None`: it says nothing new.
    ///
    /// # Errors
    /// There is no answer, or its index went back.
    pub(super) fn fresh(
        self,
        query: &mut Query,
        cursor: Option<&mut Cursor>,
        client: &Client,
        path: &str,
    ) -> Result<Option<Fresh<T>>, Error> {
        let read = self.result.inspect_err(|error| query.failed(error))?;
        let step = cursor.map(|cursor| cursor.observe(read.index));
        if let Some(Step::Backwards { from }) = step {
            let call = client.about("GET", path);
            return Err(Error::went_backwards(call, from, read.index));
        }
        let (parse, held) = (read.parse, self.held);
        let Some(content) = read.content else {
            query.succeeded(parse, held, News::None, held < self.wait);
            return Ok(None);
        };
        Ok(Some(Fresh {
            content,
            parse,
            held,
        }))
    }
}

impl<T> Fresh<T> {
    /// Splits off what its query is told when it is known what news it was.
    pub(super) fn split(self) -> (T, impl FnOnce(&mut Query, News)) {
        let (parse, held) = (self.parse, self.held);
        let tell = move |query: &mut Query, news| query.succeeded(parse, held, news, false);
        (self.content, tell)
    }
}
