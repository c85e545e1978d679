#include "route/builder.h"

#include <pthread.h>
#include <stdlib.h>

struct job {
    struct io_task task;
    /* main thread before it runs, its own while it runs, then main's: start, join and the posted task order that */
    struct route_plan_input input;
    struct table_site *sites;
    sk_err err;
    struct route_plan *plan;
    /* main thread */
    pthread_t thread;
    struct builder *builder; /* NULL: cancelled, and joined */
    struct io_loop *loop;
};

struct builder {
    struct io_loop *loop;
    builder_done *done;
    void *arg;
    struct job *job; /* NULL: none runs */
};

sk_err builder_create(struct io_loop *loop, builder_done *done, void *arg, struct builder **out_builder) {
    struct builder *builder = calloc(1, sizeof *builder);
    if (!builder) return SK_ERR_NO_MEMORY;
    *builder = (struct builder){.loop = loop, .done = done, .arg = arg};
    *out_builder = builder;
    return SK_OK;
}

bool builder_runs(const struct builder *builder) { return builder->job != NULL; }

static void release(struct job *job) {
    route_config_unref(job->input.config);
    route_plan_unref((struct route_plan *)(uintptr_t)job->input.previous);
    measure_set_unref(job->input.measured);
    free(job->sites);
    free(job);
}

/* Main thread. */
static void on_end(struct io_task *task) {
    struct job *job = SK_CONTAINER_OF(task, struct job, task);
    struct builder *builder = job->builder;
    struct route_plan *plan = job->plan;
    sk_err err = job->err;
    if (builder) {
        pthread_join(job->thread, NULL);
        builder->job = NULL;
    }
    release(job);
    if (builder)
        builder->done(builder->arg, err, plan);
    else
        route_plan_unref(plan);
}

static void *run(void *arg) {
    struct job *job = arg;
    struct io_loop *loop = job->loop;
    pthread_setname_np(pthread_self(), "table");
    job->err = route_plan_create(&job->input, &job->plan);
    io_loop_post(loop, &job->task); /* from here on it is main's */
    return NULL;
}

sk_err builder_start(struct builder *builder, const struct route_plan_input *input) {
    struct job *job = calloc(1, sizeof *job);
    if (!job) return SK_ERR_NO_MEMORY;
    job->sites = route_sites_copy(input->sites, input->config->config->site_count);
    if (!job->sites) {
        free(job);
        return SK_ERR_NO_MEMORY;
    }
    job->task.run = on_end;
    job->builder = builder;
    job->loop = builder->loop;
    job->input = *input;
    job->input.sites = job->sites;
    job->input.config = route_config_ref(input->config);
    if (input->previous) route_plan_ref((struct route_plan *)(uintptr_t)input->previous);
    job->input.measured = measure_set_ref(input->measured);
    if (pthread_create(&job->thread, NULL, run, job) != 0) {
        release(job);
        return SK_ERR_NO_MEMORY;
    }
    builder->job = job;
    return SK_OK;
}

void builder_cancel(struct builder *builder) {
    struct job *job = builder->job;
    if (!job) return;
    pthread_join(job->thread, NULL);
    job->builder = NULL; /* the posted task frees it */
    builder->job = NULL;
}

void builder_free(struct builder *builder) {
    if (!builder) return;
    builder_cancel(builder);
    free(builder);
}
