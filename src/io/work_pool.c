#include "io/work_pool.h"

#include <pthread.h>
#include <signal.h>

#define MAX_THREADS 8
#define STACK_BYTES (256 * 1024)

static struct {
    /* Held while the pool is opened or closed, also while its threads are joined. */
    pthread_mutex_t life_mutex;
    size_t users;

    /* Protects what follows. Held for a few instructions, and while a finished work is posted: so whoever
     * got the mutex after its work was done knows that no thread of ours still touches its loop. */
    pthread_mutex_t mutex;
    pthread_cond_t work_came;
    struct io_work *first, **last;
    pthread_t threads[MAX_THREADS];
    size_t thread_count, idle_count;
    bool stopping;
} pool = {
    .life_mutex = PTHREAD_MUTEX_INITIALIZER,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .work_came = PTHREAD_COND_INITIALIZER,
    .last = &pool.first,
};

/* Under the mutex. */
static struct io_work *take_work(void) {
    while (!pool.first && !pool.stopping) {
        pool.idle_count++;
        pthread_cond_wait(&pool.work_came, &pool.mutex);
        pool.idle_count--;
    }
    struct io_work *work = pool.first;
    if (!work) return NULL;
    pool.first = work->next;
    if (!pool.first) pool.last = &pool.first;
    return work;
}

static void *serve(void *arg) {
    (void)arg;
    pthread_mutex_lock(&pool.mutex);
    for (struct io_work *work; (work = take_work());) {
        pthread_mutex_unlock(&pool.mutex);
        work->run(work);
        pthread_mutex_lock(&pool.mutex);
        io_loop_post(work->loop, &work->done);
    }
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* Under the mutex. Signals are for the loops' threads. */
static void add_thread(void) {
    sigset_t all, before;
    pthread_attr_t attr;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&pool.threads[pool.thread_count], &attr, serve, NULL) == 0) {
        pthread_setname_np(pool.threads[pool.thread_count], "file");
        pool.thread_count++;
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

sk_err io_work_pool_submit(struct io_work *work) {
    pthread_mutex_lock(&pool.mutex);
    if (pool.idle_count == 0 && pool.thread_count < MAX_THREADS) add_thread();
    bool served = pool.thread_count > 0;
    if (served) {
        work->next = NULL;
        *pool.last = work;
        pool.last = &work->next;
        pthread_cond_signal(&pool.work_came);
    }
    pthread_mutex_unlock(&pool.mutex);
    return served ? SK_OK : SK_ERR_NO_MEMORY;
}

void io_work_pool_open(void) {
    pthread_mutex_lock(&pool.life_mutex);
    pool.users++;
    pthread_mutex_unlock(&pool.life_mutex);
}

static void join_threads(void) {
    pthread_mutex_lock(&pool.mutex);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.work_came);
    pthread_mutex_unlock(&pool.mutex);
    for (size_t i = 0; i < pool.thread_count; i++) pthread_join(pool.threads[i], NULL);
    pool.thread_count = 0;
    pool.stopping = false;
}

void io_work_pool_close(void) {
    pthread_mutex_lock(&pool.life_mutex);
    if (--pool.users == 0) join_threads();
    pthread_mutex_unlock(&pool.life_mutex);
    /* See the mutex: a thread may still be on its way out of io_loop_post. */
    pthread_mutex_lock(&pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
}
