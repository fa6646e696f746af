FROM scratch
COPY base /
ARG TOKEN
ENV TOKEN=$TOKEN
RUN pkg install shout
COPY app /bin/app
CMD ["app"]
